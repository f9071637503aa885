"""An artifact as a local folder: claims and files where they are, everything else copied by fsspec."""

import shutil
import tempfile
from pathlib import Path

import fsspec

from tuneloop_contracts.adapters import FILES, folder_name
from tuneloop_contracts.pods import LoadFault
from tuneloop_contracts.stores import BadUri, Store
from tuneloop_server.adapters.rejection import AdapterRejected


def fetch(uri: str, digest: str, most: int) -> Path:
    """Blocking. Raises AdapterRejected: ARTIFACT_NOT_FOUND while there is nothing, LOAD_FAILED for a URI that must be edited.

    `most`: bytes that a copy may have.
    """
    try:
        store = Store(uri)
    except BadUri as error:
        raise AdapterRejected(LoadFault.LOAD_FAILED, str(error)) from error
    if store.location.startswith("/"):
        return Path(store.location)
    return download(store.location, copies() / folder_name(digest), most)


def copies() -> Path:
    """Where downloaded artifacts are kept, by digest."""
    return Path(tempfile.gettempdir()) / "tuneloop-adapters"


def forget(digest: str) -> None:
    """Remove the copy, if there is one."""
    shutil.rmtree(copies() / folder_name(digest), ignore_errors=True)


def download(location: str, folder: Path, most: int) -> Path:
    """Written beside and renamed, so that a folder that is there is whole; its contents are checked by digest afterwards."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix="partial-"))
    try:
        _copy(location, partial, most)
        return partial.rename(folder)
    except AdapterRejected:
        raise
    except Exception as error:  # each store has exceptions of its own; their texts may hold an endpoint or a key id
        raise AdapterRejected(LoadFault.ARTIFACT_NOT_FOUND, f"the store answered {type(error).__name__}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _copy(location: str, folder: Path, most: int) -> None:
    """Every file of the artifact's top level: also those that preflight will refuse, by name, with nothing in them."""
    store, root = fsspec.core.url_to_fs(location)
    entries = store.ls(root, detail=True)
    if sum(entry["size"] or 0 for entry in entries) > most:
        raise AdapterRejected(LoadFault.LOAD_FAILED, f"the artifact is larger than {most} bytes")
    for entry in entries:
        name = entry["name"].rstrip("/").rsplit("/", 1)[-1]
        if entry["type"] == "file" and name in FILES:
            store.get_file(entry["name"], str(folder / name))
        elif entry["type"] == "file":
            (folder / name).touch()
