"""From what a dataset was made: enough to make it again."""

import json
import shutil
import tomllib
from datetime import timedelta
from pathlib import Path

from training.test_harvest import folder_of, harvest
from training.traffic import NOW, TARGET, record, write
from tuneloop_contracts.base import digest_of
from tuneloop_contracts.dataset import MANIFEST_FILE, SUMMARY_FILE, USERS_FILE, DatasetManifest, StreamRead
from tuneloop_contracts.names import RELEASE
from tuneloop_contracts.record import record_stream
from tuneloop_trainer.harvest.manifest import filter_versions


def manifest(folder: Path) -> DatasetManifest:
    return DatasetManifest.model_validate_json((folder / MANIFEST_FILE).read_text())


def test_a_manifest_says_what_was_read_by_which_filters_and_names_every_file(redis_url: str, tmp_path: Path) -> None:
    at = NOW - timedelta(days=1)
    write(redis_url, (record(n) for n in range(60)), at=at)
    dataset = harvest(redis_url, tmp_path)
    folder = folder_of(dataset)
    made = manifest(folder)
    start = int(at.timestamp() * 1000)
    assert made.streams == (StreamRead(name=record_stream(TARGET, 0, at.date()), first=f"{start}-0", last=f"{start + 59}-0", count=60),)
    assert (made.from_, made.to, made.read, made.dropped) == (dataset.from_, dataset.to, 60, dataset.dropped)
    assert made.filters == filter_versions()
    assert {"admit", "split", "redact/phone", "domains", "domains/classify.py", "domains/seeds/legal.pt.txt"} <= made.filters.keys()
    assert made.files == {
        file.name: digest_of([file]) for file in folder.iterdir() if file.name not in (SUMMARY_FILE, MANIFEST_FILE, "inputs.sha256")
    }


def test_the_same_manifest_is_the_same_bits(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n % 50, id=f"i-{n}") for n in range(120)), shards=2)
    folder = folder_of(harvest(redis_url, tmp_path))
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "golden")
    assert {file.name: file.read_bytes() for file in folder_of(harvest(redis_url, tmp_path)).iterdir()} == first
    made = DatasetManifest.model_validate_json(first[MANIFEST_FILE])
    shutil.rmtree(folder)
    beside = manifest(folder_of(harvest(redis_url, tmp_path)))
    assert (made.golden, beside.golden != "") == ("", True)  # what the first froze, the second may not learn
    assert beside.model_copy(update={"golden": "", "files": made.files, "dropped": made.dropped}) == made
    shutil.rmtree(tmp_path)
    write(redis_url, [record(777)], at=NOW - timedelta(hours=1))
    assert manifest(folder_of(harvest(redis_url, tmp_path))) != made


def test_whose_a_row_is_stands_beside_the_rows_and_not_in_them(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, [*(record(n) for n in range(60)), record(60, user="")])
    folder = folder_of(harvest(redis_url, tmp_path))
    users = [json.loads(line) for line in (folder / USERS_FILE).read_text().splitlines()]
    assert {user["id"]: user["user"] for user in users} == {f"i-{n}": f"u-{n}" for n in range(60)}
    assert not any("u-1" in file.read_text() for file in folder.iterdir() if file.name != USERS_FILE)


def test_the_release_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == RELEASE
