"""Stores in S3, on a real S3 server: a turn of the loop from the record to the server, a person forgotten, and what goes wrong there."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import s3fs

from forget.test_forget import ANA, SALT, entry, interaction
from s3.gateway import SECRET, S3Gateway
from training.lessons import dataset, job, lesson
from training.test_commands import command
from training.test_harvest import settings
from training.traffic import NOW, TARGET, record, write
from tuneloop_contracts.adapters import FILES, adapter_digest
from tuneloop_contracts.base import base_digest
from tuneloop_contracts.dataset import DATA_FILES, SUMMARY_FILE, Dataset
from tuneloop_contracts.jobs import Gate, Training
from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_contracts.progress import FaultReason, Verdict
from tuneloop_contracts.record import record_stream
from tuneloop_contracts.stores import Store
from tuneloop_server.adapters.fetch import copies, fetch, forget
from tuneloop_server.adapters.rejection import AdapterRejected
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.harvest.collect import Harvest
from tuneloop_trainer.learn.base_folder import base_folder
from tuneloop_trainer.learn.finished import finished_report
from tuneloop_trainer.learn.job import train_job
from tuneloop_trainer.reporting import Reporter
from tuneloop_trainer.store import check_writable, get_bytes, list_files, publish_folder, put_bytes, remove_file, remove_older

ROOM = 2**30
_numbers = itertools.count()


@dataclass(frozen=True)
class Buckets:
    """Two that no other test has: as URIs, and as the folders that the server makes of them."""

    adapters: Store
    datasets: Store
    files: Path

    def dump(self) -> dict[str, bytes]:
        return {str(file.relative_to(self.files)): file.read_bytes() for file in self.files.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Gateway]:
    server = S3Gateway(tmp_path_factory.mktemp("s3")).start()
    yield server
    server.stop()


@pytest.fixture
def buckets(gateway: S3Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    for name, value in gateway.env.items():
        monkeypatch.setenv(name, value)
    number = next(_numbers)
    names = [f"{kind}-{number}" for kind in ("adapters", "datasets")]
    for name in names:
        gateway.bucket(name)
    s3fs.S3FileSystem.clear_instance_cache()
    yield Buckets(*(Store(f"s3://{name}/chat") for name in names), gateway.folder)
    s3fs.S3FileSystem.clear_instance_cache()  # or the next test's would have this one's keys


def harvest(url: str, buckets: Buckets, **changes: object) -> Dataset:
    return Harvest(settings(Path(), datasets_uri=buckets.datasets.uri, **changes), Reporter()).run(url, now=NOW)


def test_a_turn_of_the_loop(redis_url: str, tiny_base: Path, tmp_path: Path, buckets: Buckets) -> None:
    write(redis_url, (record(n) for n in range(60)))
    data = harvest(redis_url, buckets)
    assert data.kept == 60
    assert set(list_files(Store(data.uri))) >= {*DATA_FILES, SUMMARY_FILE}
    assert harvest(redis_url, buckets) == data
    training = Training(epochs=3, learning_rate=2e-2, max_sequence_length=128, tokens_per_step=256)
    config = job(tiny_base, tmp_path, data, training=training, gate=Gate(mode="Report", min_held_out=4)).model_copy(
        update={"adapters_uri": buckets.adapters.uri, "datasets_uri": buckets.datasets.uri}
    )
    prompts = tmp_path / "datasets" / "golden" / TARGET
    for file in prompts.iterdir():
        put_bytes(buckets.datasets.below("golden", *TARGET.split("/"), file.name), file.read_bytes())
    report = train_job(config, Reporter())
    (adapter,) = report.adapters
    assert adapter.verdict is not Verdict.INCONCLUSIVE
    assert finished_report(config) == report
    assert not [name for name in buckets.dump() if "_checkpoints" in name]
    try:
        folder = fetch(adapter.uri, adapter.digest, ROOM)
        assert folder.parent == copies()
        assert {file.name for file in folder.iterdir()} == set(FILES)
        assert adapter_digest(folder) == adapter.digest
    finally:
        forget(adapter.digest)


def test_a_base_model_is_fetched_once_and_again_when_it_is_another(
    tiny_base: Path, tmp_path: Path, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    base = buckets.datasets.below("base")
    config = job(tiny_base, tmp_path, dataset(tmp_path / "data", lesson("x", "Below."))).model_copy(update={"base_uri": base.uri})
    with pytest.raises(NeedsEdit, match=rf"{base.uri}: no config.json and \*.safetensors there; put them there"):
        base_folder(config)
    publish_folder(tiny_base, base, marker="config.json")
    put_bytes(base.below("pytorch_model.bin"), b"a pickle")
    folder = base_folder(config)
    assert {file.name for file in folder.iterdir()} == {file.name for file in tiny_base.iterdir()}
    assert base_digest(folder) == base_digest(tiny_base)
    fetched = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert base_folder(config) == folder
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == fetched
    put_bytes(base.below("tokenizer.json"), b"another")
    assert (base_folder(config) / "tokenizer.json").read_bytes() == b"another"


def test_sealed_days_are_read_back(redis_url: str, buckets: Buckets) -> None:
    write(redis_url, (record(n) for n in range(60)))
    first = harvest(redis_url, buckets, job="chat/first", archive=True)
    with redis.Redis.from_url(redis_url) as client:
        client.delete(record_stream(TARGET, 0, (NOW - timedelta(days=1)).date()))
    again = harvest(redis_url, buckets, job="chat/again", archive=True)
    assert (again.read, again.digest) == (60, first.digest)


def test_a_person_is_forgotten(redis_url: str, tmp_path: Path, gateway: S3Gateway, buckets: Buckets) -> None:
    write(redis_url, (entry(n) for n in range(60)))
    harvest(redis_url, buckets, archive=True)
    theirs = [interaction(n, f"key{n}").encode() for n in range(0, 60, 3)]
    assert any(theirs[0] in content for content in buckets.dump().values())
    manifest = tmp_path / "manifest.json"
    manifest.write_text(AdapterManifest(salt=SALT).model_dump_json(by_alias=True))
    stores = ["--datasets", buckets.datasets.uri, "--adapters", buckets.adapters.uri, "--manifest", str(manifest)]
    done = command("forget", "--user", "ana", "--target", TARGET, "--redis", redis_url, *stores, **gateway.env)
    assert done.returncode == 0, done.stderr
    assert "datasets: rows" in done.stdout
    left = b"".join(content for name, content in buckets.dump().items() if not name.endswith(("manifest.json", ".zst")))
    assert not any(one in left for one in theirs)
    assert ANA.encode() not in left


def test_files_and_folders(tmp_path: Path, buckets: Buckets) -> None:
    store = buckets.datasets
    check_writable(store)
    assert (list_files(store), get_bytes(store.below("a"))) == ([], None)
    put_bytes(store.below("a"), b"1")
    put_bytes(store.below("a"), b"2")
    assert get_bytes(store.below("a")) == b"2"
    for name in ("x.json", "marker"):
        (tmp_path / name).write_text(name)
    publish_folder(tmp_path, store.below("made"), marker="marker")
    assert list_files(store) == ["a", "made/marker", "made/x.json"]
    remove_file(store.below("a"))
    remove_file(store.below("a"))
    remove_older(store.below("made"), NOW)
    assert list_files(store) == ["made/marker", "made/x.json"], "written after"
    with pytest.raises(AdapterRejected) as refused:
        fetch(store.below("nothing").uri, "sha256:" + "0" * 64, ROOM)
    assert not refused.value.final


@pytest.mark.parametrize("wrong", ["bucket", "key", "server"])
def test_a_store_that_cannot_be_written_is_named_without_its_keys(buckets: Buckets, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    store = Store("s3://no-such-bucket/chat") if wrong == "bucket" else buckets.datasets
    if wrong == "key":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET[::-1])
    if wrong == "server":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(TryLater) as refused:
        check_writable(store)
    fault = refused.value.fault
    assert fault.reason is FaultReason.STORE_UNAVAILABLE
    assert fault.message.startswith(f"{store.uri}: ")
    assert SECRET not in fault.message
    assert SECRET[::-1] not in fault.message
