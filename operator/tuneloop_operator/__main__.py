"""`python -m tuneloop_operator`. Exit 0: told to stop. 1: something broke, start again. 2: the environment needs an edit."""

import asyncio
import logging
import os
import sys

from tuneloop_operator.app import run
from tuneloop_operator.clients.access import NoAccess
from tuneloop_operator.clients.errors import ClientError, frames
from tuneloop_operator.clients.lease import LeaseLost
from tuneloop_operator.settings import InvalidSettings, Settings

log = logging.getLogger("tuneloop_operator")


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment(os.environ)
    except InvalidSettings as faults:
        print(f"tuneloop_operator: the environment needs an edit\n{faults}", file=sys.stderr)
        return 2
    try:
        asyncio.run(run(settings))
    except (NoAccess, LeaseLost, ClientError) as error:
        log.error("%s", error)
        return 1
    except Exception as error:
        log.error("stopping: %s\n%s", type(error).__name__, frames(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
