"""Folders of results, to and from the artifact stores. A reader meets a whole folder or none.

A local store (pvc://, file://) gets a folder by a rename. An object store has no rename: there the marker file goes last, and a
folder without its marker does not exist.
"""

import errno
import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from botocore.exceptions import BotoCoreError, ClientError

from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import Store, mount_path
from tuneloop_trainer.errors import TryLater

FILE_MODE = 0o644
FOLDER_MODE = 0o755
"""Pods read as another uid than the one that wrote."""


@contextmanager
def faults_named(store: Store, into: Path | None = None) -> Iterator[None]:
    """Turns what a store raises into STORE_UNAVAILABLE with the URI and what to do; the store's own text may hold credentials.

    `into`: what is written is written there, not to the store."""
    try:
        yield
    except (OSError, BotoCoreError, ClientError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"{into or store.uri} is full: delete what is not needed there, or make it larger"
            raise TryLater(FaultReason.STORE_UNAVAILABLE, message) from error
        raise TryLater(FaultReason.STORE_UNAVAILABLE, f"{store.uri}: {type(error).__name__}; {_advice(store)}") from error


def _advice(store: Store) -> str:
    if store.claim:
        return "mount the claim where this pod can write"
    if is_local(store):
        return "check that it exists, and who may write to it"
    keys = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
    return f"check that the bucket exists, and {keys} (a pod has them from the Secret that secretRef names)"


def check_writable(store: Store) -> None:
    """Before hours of work: can the result be kept? Raises TryLater."""
    with faults_named(store):
        if store.claim and not Path(mount_path(store.claim)).is_dir():
            raise FileNotFoundError(mount_path(store.claim))
        probe = store.below(f".writable-{uuid.uuid4().hex}")
        _put(probe, b"")
        files, path = _open(probe)
        files.rm_file(path)


def put_bytes(store: Store, content: bytes) -> None:
    """One file, whole or not at all."""
    with faults_named(store):
        _put(store, content)


def _put(store: Store, content: bytes) -> None:
    if not is_local(store):
        files, path = _open(store)
        files.pipe_file(path, content)
        return
    target = Path(store.location)
    _make_folder(target.parent)
    with _partial(target) as partial:
        partial.write_bytes(content)
        partial.chmod(FILE_MODE)
        partial.replace(target)


def get_bytes(store: Store) -> bytes | None:
    """None where there is no such file."""
    with faults_named(store):
        files, path = _open(store)
        try:
            return bytes(files.cat_file(path))
        except FileNotFoundError:
            return None


def remove_file(store: Store) -> None:
    """And what a writer that was killed left of it: for a file that nobody else writes."""
    with faults_named(store):
        if is_local(store):
            target = Path(store.location)
            for partial in target.parent.glob(f"{glob.escape(_partial_prefix(target))}*"):
                partial.unlink(missing_ok=True)
        files, path = _open(store)
        if files.exists(path):
            files.rm_file(path)


def list_files(store: Store) -> list[str]:
    """Every file below, by its path from there, in order; none where there is no such folder."""
    with faults_named(store):
        files, path = _open(store)
        files.invalidate_cache()
        root = path.rstrip("/") + "/"
        return sorted(found.removeprefix(root) for found in files.find(path))


def fetch_files(store: Store, patterns: tuple[str, ...], into: Path) -> Path:
    """Files directly in a folder of an object store, as a local folder below `into`: another one whenever one of them is another. What
    is there already is not fetched again, and several processes may fetch at once."""
    with faults_named(store, into):
        files, path = _open(store)
        files.invalidate_cache()
        found = map(PurePosixPath, files.ls(path, detail=False) if files.exists(path) else ())
        wanted = {str(name): files.ukey(str(name)) for name in found if any(map(name.match, patterns))}
        folder = into / hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            target = folder / PurePosixPath(name).name
            if not target.exists():
                with _partial(target) as partial:
                    files.get_file(name, str(partial))
                    partial.replace(target)
        return folder


def remove_older(folder: Store, than: datetime) -> None:
    """Files directly in a folder that were last written before; what else writes there may go at the same time."""
    with faults_named(folder):
        files, path = _open(folder)
        files.invalidate_cache()
        for file in files.ls(path, detail=False) if files.exists(path) else ():
            with suppress(FileNotFoundError):
                if files.modified(file) < than:
                    files.rm_file(file)


def get_folder(store: Store, names: tuple[str, ...], into: Path) -> None:
    """Copies files of a folder to a local one. Raises FileNotFoundError naming the first that is missing."""
    for name in names:
        content = get_bytes(store.below(name))
        if content is None:
            raise FileNotFoundError(f"{store.uri}/{name}")
        (into / name).write_bytes(content)


def publish_folder(folder: Path, store: Store, *, marker: str, replace: bool = False) -> None:
    """Moves a finished local folder into a store. One that is there already stays, unless `replace`."""
    with faults_named(store):
        if is_local(store):
            _publish_local(folder, Path(store.location), marker, replace)
        else:
            files, path = _open(store)
            publish_objects(files, path, folder, marker, replace)


def publish_objects(files: Any, path: str, folder: Path, marker: str, replace: bool) -> None:
    """The object store's way: the old marker away first, the new one last."""
    if files.exists(f"{path}/{marker}"):
        if not replace:
            return
        files.rm_file(f"{path}/{marker}")
    for file in sorted(folder.iterdir(), key=lambda file: (file.name == marker, file.name)):
        files.put_file(str(file), str(PurePosixPath(path) / file.name))


def is_local(store: Store) -> bool:
    return store.location.startswith("/")


def _publish_local(folder: Path, target: Path, marker: str, replace: bool) -> None:
    if (target / marker).exists() and not replace:
        return
    _make_folder(target.parent)
    with _partial(target) as partial:
        partial.mkdir()
        for file in folder.iterdir():
            shutil.copyfile(file, partial / file.name).chmod(FILE_MODE)
        partial.chmod(FOLDER_MODE)
        _sync(partial)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)


def _sync(folder: Path) -> None:
    """To the disk, so that a power cut after the rename leaves whole files."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _make_folder(folder: Path) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        parent.chmod(FOLDER_MODE)


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """A name beside it, to write to and rename. What could not be finished is taken away: a full disk would stay full."""
    partial = target.with_name(f"{_partial_prefix(target)}{uuid.uuid4().hex}")
    try:
        yield partial
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
        raise


def _partial_prefix(target: Path) -> str:
    return f".{target.name}."


def _open(store: Store) -> tuple[Any, str]:
    files, path = fsspec.core.url_to_fs(store.location)
    return files, path
