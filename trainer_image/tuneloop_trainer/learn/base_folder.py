"""Where the base model is, whether it is the one that serves, and its licence. Without torch: told before anything heavy is imported."""

import re
from pathlib import Path
from tempfile import gettempdir

from tuneloop_contracts.base import HUB_SCHEME, base_digest
from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import Store
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.learn.hub import FILES, downloaded
from tuneloop_trainer.store import fetch_files, is_local

FETCHED = "tuneloop-bases"
"""Below the pod's own temporary folder: base models of object stores."""


def base_folder(config: TrainConfig) -> Path:
    """Raises NeedsEdit (BASE_MODEL_NOT_FOUND) where this pod has no such folder of safetensors, or may not have it; TryLater where the
    hub or the object store is away."""
    if config.base_uri.startswith(HUB_SCHEME):
        return downloaded(config.base_uri)
    store = Store(config.base_uri)
    folder = Path(store.location) if is_local(store) else fetch_files(store, FILES, Path(gettempdir()) / FETCHED)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise NeedsEdit(FaultReason.BASE_MODEL_NOT_FOUND, f"{config.base_uri}: no config.json and *.safetensors there; {_advice(store)}")
    return folder


def _advice(store: Store) -> str:
    if store.claim:
        return "mount the claim into the training pod"
    return "in a pod, use an image that holds it (pods.image), or a pvc:// URI" if is_local(store) else "put them there, in no folder below"


def checked_digest(folder: Path, config: TrainConfig) -> str:
    """Raises NeedsEdit (BASE_MISMATCH): an adapter for another base than the one that serves would be refused by every pod."""
    digest = base_digest(folder)
    if config.expected_base_digest not in ("", digest):
        found, served = digest[:19], config.expected_base_digest[:19]
        raise NeedsEdit(FaultReason.BASE_MISMATCH, f"{config.base_uri} is {found}..., but {served}... is serving: train on what serves")
    return digest


def licence_of(folder: Path) -> str:
    """As the front matter of the model's own card names it; "" where it names none."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    _, _, rest = card.read_text(encoding="utf-8", errors="replace").partition("---\n")
    named = re.search(r"^license: *([A-Za-z0-9.+-]+) *$", rest.partition("\n---")[0], re.MULTILINE)
    return named[1] if named else ""
