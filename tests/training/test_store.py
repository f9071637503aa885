import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tuneloop_contracts import stores
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import Store
from tuneloop_trainer.errors import TryLater
from tuneloop_trainer.store import check_writable, get_bytes, get_folder, publish_folder, publish_objects, put_bytes, remove_file


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    for name in ("a.json", "b.bin", "marker"):
        (folder / name).write_text(f"new {name}")
        (folder / name).chmod(0o600)
    return folder


def test_a_folder_appears_whole_and_readable_by_others(made: Path, tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/out/deep")
    publish_folder(made, store, marker="marker")
    there = tmp_path / "out" / "deep"
    assert {file.name: file.read_text() for file in there.iterdir()} == {file.name: file.read_text() for file in made.iterdir()}
    assert {file.stat().st_mode & 0o777 for file in there.iterdir()} == {0o644}
    assert {folder.stat().st_mode & 0o777 for folder in (there, there.parent)} == {0o755}
    assert os.listdir(there.parent) == ["deep"]


@pytest.mark.parametrize(("replace", "want"), [(False, "old"), (True, "new marker")])
def test_what_is_there_stays_unless_replaced(made: Path, tmp_path: Path, replace: bool, want: str) -> None:
    store = Store(f"file://{tmp_path}/out")
    put_bytes(store.below("marker"), b"old")
    publish_folder(made, store, marker="marker", replace=replace)
    assert get_bytes(store.below("marker")) == want.encode()


def test_half_a_folder_is_completed(made: Path, tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/out")
    put_bytes(store.below("a.json"), b"half")
    publish_folder(made, store, marker="marker")
    assert get_bytes(store.below("a.json")) == b"new a.json"


class Recording:
    """An object store in memory that notes the order of what is done to it."""

    def __init__(self) -> None:
        self.files, self.done = fsspec.filesystem("memory", skip_instance_cache=True), []

    def exists(self, path: str) -> bool:
        return bool(self.files.exists(path))

    def rm_file(self, path: str) -> None:
        self.done.append(f"rm {path}")
        self.files.rm_file(path)

    def put_file(self, local: str, path: str) -> None:
        self.done.append(f"put {path}")
        self.files.put_file(local, path)


def test_in_an_object_store_the_marker_goes_last_and_leaves_first(made: Path) -> None:
    objects = Recording()
    publish_objects(objects, "bucket/x", made, "marker", False)
    assert objects.done == ["put bucket/x/a.json", "put bucket/x/b.bin", "put bucket/x/marker"]
    publish_objects(objects, "bucket/x", made, "marker", False)
    assert len(objects.done) == 3
    publish_objects(objects, "bucket/x", made, "marker", True)
    assert objects.done[3:] == ["rm bucket/x/marker", "put bucket/x/a.json", "put bucket/x/b.bin", "put bucket/x/marker"]
    objects.files.rm("bucket", recursive=True)


def test_files_come_and_go(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/some")
    assert get_bytes(store.below("a")) is None
    put_bytes(store.below("a"), b"1")
    remove_file(store.below("a"))
    remove_file(store.below("a"))
    assert get_bytes(store.below("a")) is None
    with pytest.raises(FileNotFoundError, match=r"some/a"):
        get_folder(store, ("a",), tmp_path)


def test_a_claim_that_is_not_mounted_is_named_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "STORES_ROOT", tmp_path)
    with pytest.raises(TryLater) as refused:
        check_writable(Store("pvc://adapters/chat"))
    assert refused.value.fault.reason is FaultReason.STORE_UNAVAILABLE
    assert "pvc://adapters/chat" in refused.value.fault.message
    assert "mount" in refused.value.fault.message
    (tmp_path / "adapters").mkdir()
    check_writable(Store("pvc://adapters/chat"))
    assert list((tmp_path / "adapters" / "chat").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TryLater) as refused:
        check_writable(Store(f"file://{tmp_path}/file/below"))
    assert f"file://{tmp_path}/file/below" in refused.value.fault.message


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a disk that is full")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_named_and_nothing_half_written_stays_on_it(made: Path, full: Path) -> None:
    store = Store(f"file://{full}/out")
    put_bytes(store.below("small"), b"1")
    (made / "b.bin").write_bytes(bytes(2_000_000))
    writes = (lambda: put_bytes(store.below("large"), bytes(2_000_000)), lambda: publish_folder(made, store.below("x"), marker="marker"))
    for write in writes:
        with pytest.raises(TryLater) as refused:
            write()
        assert refused.value.fault.reason is FaultReason.STORE_UNAVAILABLE
        assert "is full" in refused.value.fault.message
    assert os.listdir(full / "out") == ["small"]


def test_what_a_killed_writer_left_goes_with_the_file(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/some/a")
    put_bytes(store, b"1")
    (tmp_path / "some" / ".a.0123").write_bytes(b"half")
    (tmp_path / "some" / ".b.0123").write_bytes(b"of another")
    remove_file(store)
    assert os.listdir(tmp_path / "some") == [".b.0123"]
