"""What is known of an adapter before it comes near the model."""

import errno
import os
import shutil
import struct
from pathlib import Path
from typing import Never

import pytest
import safetensors.torch
import torch

from bad_adapters import BEFORE_LOADING, Bad
from builders_adapters import digest_of_base, edit_weights, make_adapter
from tuneloop_contracts.adapters import CONFIG_FILE, DIGESTED_FILES, WEIGHTS_FILE, adapter_digest
from tuneloop_contracts.pods import LoadFault
from tuneloop_server.adapters.fetch import copies, download, fetch, forget
from tuneloop_server.adapters.preflight import Limits, preflight
from tuneloop_server.adapters.rejection import AdapterRejected
from tuneloop_server.adapters.weights import read_header
from tuneloop_server.engine.base import BaseFacts


@pytest.fixture
def limits(facts: BaseFacts) -> Limits:
    return Limits(facts, max_rank=64)


@pytest.mark.parametrize("bad", BEFORE_LOADING, ids=lambda bad: bad.name)
def test_refused(bad: Bad, tmp_path: Path, limits: Limits) -> None:
    digest = bad.make(tmp_path / "adapter")
    with pytest.raises(AdapterRejected) as refused:
        preflight(tmp_path / "adapter", digest, limits)
    assert (refused.value.fault, refused.value.final) == (bad.fault, True), str(refused.value)


def test_every_fault_of_the_contract_has_an_example() -> None:
    shown = {bad.fault for bad in BEFORE_LOADING} | {LoadFault.NO_EFFECT, LoadFault.ARTIFACT_NOT_FOUND, LoadFault.LOAD_FAILED}
    assert shown == set(LoadFault)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_good_one_passes_whole(dtype: torch.dtype, tmp_path: Path, limits: Limits) -> None:
    make_adapter(tmp_path, digest_of_base(), "support", seed=1)
    edit_weights(tmp_path, lambda tensors: {name: tensor.to(dtype) for name, tensor in tensors.items()})
    passed = preflight(tmp_path, adapter_digest(tmp_path), limits)
    assert passed.weights == (tmp_path / WEIGHTS_FILE).read_bytes()
    assert passed.config["r"] == 4


def test_what_peft_itself_writes_passes(tmp_path: Path, limits: Limits) -> None:
    """The trainer saves with PEFT: all of its default fields must be known here."""
    from peft import LoraConfig

    digest_before = make_adapter(tmp_path, digest_of_base(), "support", seed=1)
    LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj", "down_proj"], task_type="CAUSAL_LM").save_pretrained(str(tmp_path))
    assert adapter_digest(tmp_path) != digest_before
    preflight(tmp_path, adapter_digest(tmp_path), limits)


@pytest.mark.parametrize("missing", DIGESTED_FILES)
def test_a_missing_file_may_still_come(missing: str, tmp_path: Path, limits: Limits) -> None:
    digest = make_adapter(tmp_path, digest_of_base(), "support", seed=1)
    (tmp_path / missing).unlink()
    with pytest.raises(AdapterRejected, match=missing) as refused:
        preflight(tmp_path, digest, limits)
    assert not refused.value.final


def test_a_file_beyond_the_largest_possible_adapter_is_not_read(tmp_path: Path, facts: BaseFacts) -> None:
    digest = make_adapter(tmp_path, digest_of_base(), "support", seed=1, rank=16)
    with pytest.raises(AdapterRejected) as refused:
        preflight(tmp_path, digest, Limits(facts, max_rank=1))
    assert refused.value.fault is LoadFault.RANK_TOO_LARGE


def test_a_pipe_is_refused_and_never_opened(tmp_path: Path, limits: Limits) -> None:
    """Opening it would wait for a writer, and all other loads with it."""
    make_adapter(tmp_path, digest_of_base(), "support", seed=1)
    digest = adapter_digest(tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    os.mkfifo(tmp_path / WEIGHTS_FILE)
    with pytest.raises(AdapterRejected) as refused:
        preflight(tmp_path, digest, limits)
    assert refused.value.fault is LoadFault.UNSAFE_FORMAT


def test_a_store_that_is_away_for_a_moment_is_tried_again(tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(_: Path) -> Never:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "iterdir", stale)
    with pytest.raises(AdapterRejected, match="Stale file handle") as refused:
        preflight(tmp_path, "sha256:x", limits)
    assert not refused.value.final


def test_a_link_inside_the_folder_is_fine(tmp_path: Path, limits: Limits) -> None:
    """A mounted ConfigMap or a content-addressed store looks like this."""
    digest = make_adapter(tmp_path, digest_of_base(), "support", seed=1)
    (tmp_path / "data").mkdir()
    shutil.move(tmp_path / CONFIG_FILE, tmp_path / "data" / CONFIG_FILE)
    (tmp_path / CONFIG_FILE).symlink_to(tmp_path / "data" / CONFIG_FILE)
    preflight(tmp_path, digest, limits)


def test_a_header_whose_length_looks_like_a_pickle_is_safetensors_all_the_same(tmp_path: Path, limits: Limits) -> None:
    """0x...0480 as the header's length begins with the bytes of pickle protocol 4."""
    make_adapter(tmp_path, digest_of_base(), "support", seed=1)
    content = (tmp_path / WEIGHTS_FILE).read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    padded = (size // 65536 + 1) * 65536 + 0x0480
    (tmp_path / WEIGHTS_FILE).write_bytes(struct.pack("<Q", padded) + content[8 : 8 + size].ljust(padded) + content[8 + size :])
    assert (tmp_path / WEIGHTS_FILE).read_bytes()[:2] == b"\x80\x04"
    preflight(tmp_path, adapter_digest(tmp_path), limits)


def test_the_header_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    make_adapter(tmp_path, digest_of_base(), "support", seed=1)
    content = (tmp_path / WEIGHTS_FILE).read_bytes()
    theirs = safetensors.torch.load(content)
    assert {tensor.name: tensor.shape for tensor in read_header(content)} == {name: tuple(tensor.shape) for name, tensor in theirs.items()}


def test_a_remote_artifact_is_copied_whole_or_not_at_all(tmp_path: Path, limits: Limits) -> None:
    import fsspec

    digest = make_adapter(tmp_path / "made", digest_of_base(), "support", seed=1)
    fsspec.filesystem("memory").put(str(tmp_path / "made"), "/bucket/support", recursive=True)
    folder = download("memory://bucket/support", tmp_path / "copy", limits.max_bytes)
    assert adapter_digest(folder) == digest
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("partial-")] == []


def test_a_remote_pickle_is_refused_by_name_without_its_content(tmp_path: Path, limits: Limits) -> None:
    import fsspec

    digest = make_adapter(tmp_path / "made", digest_of_base(), "support", seed=1)
    (tmp_path / "made" / "adapter_model.bin").write_bytes(b"\x80\x04evil")
    fsspec.filesystem("memory").put(str(tmp_path / "made"), "/bucket/evil", recursive=True)
    folder = download("memory://bucket/evil", tmp_path / "copy", limits.max_bytes)
    assert (folder / "adapter_model.bin").read_bytes() == b""
    with pytest.raises(AdapterRejected) as refused:
        preflight(folder, digest, limits)
    assert refused.value.fault is LoadFault.UNSAFE_FORMAT


def test_a_remote_artifact_that_is_not_there_may_still_come(tmp_path: Path) -> None:
    with pytest.raises(AdapterRejected) as refused:
        download("memory://bucket/nothing", tmp_path / "copy", 10**9)
    assert not refused.value.final
    assert not (tmp_path / "copy").exists()


def test_a_remote_artifact_larger_than_any_adapter_is_refused(tmp_path: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/bucket/big/adapter_model.safetensors", b"x" * 100)
    with pytest.raises(AdapterRejected, match="larger"):
        download("memory://bucket/big", tmp_path / "copy", 99)


@pytest.mark.parametrize("uri", ["http://x/y", "file:///a/../../etc", "pvc://", "s3://"])
def test_a_uri_that_must_be_edited_is_final(uri: str) -> None:
    with pytest.raises(AdapterRejected) as refused:
        fetch(uri, "sha256:0", 1)
    assert (refused.value.fault, refused.value.final) == (LoadFault.LOAD_FAILED, True)


def test_claims_and_files_are_read_in_place() -> None:
    assert fetch("pvc://adapters/support/sha256-1", "sha256:1", 1) == Path("/var/lib/tuneloop/stores/adapters/support/sha256-1")
    assert fetch("file:///models/a", "sha256:1", 1) == Path("/models/a")


def test_a_copy_is_forgotten_with_its_adapter() -> None:
    folder = copies() / "sha256-test"
    folder.mkdir(parents=True, exist_ok=True)
    forget("sha256:test")
    assert not folder.exists()
