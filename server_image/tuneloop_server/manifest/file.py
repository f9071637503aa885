"""The manifest as a file: outside Kubernetes, or mounted where the ConfigMap may not be watched."""

import logging
from pathlib import Path

from tuneloop_server.manifest.source import EMPTY, BadManifest, Deliver, parse
from tuneloop_server.mounted import contents

log = logging.getLogger(__name__)


async def follow_file(path: Path, deliver: Deliver) -> None:
    """Deliver the file's manifest, or the empty one while there is none, then each change. Until cancelled."""
    async for content in contents(path):
        try:
            deliver(EMPTY if content is None else parse(content))
        except BadManifest as error:
            log.error("the adapter manifest cannot be used: %s", error)
            deliver(EMPTY)
