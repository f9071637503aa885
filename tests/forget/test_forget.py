"""One person out of a real Redis and real datasets, by the command as people run it."""

import json
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import zstandard

from recorded import recorded
from training.test_commands import command
from training.test_harvest import folder_of, harvest
from training.traffic import NOW, TARGET, judge, record, write
from tuneloop_contracts.adapters import PROVENANCE_FILE, Provenance
from tuneloop_contracts.answers import exact_entry, semantic_stream
from tuneloop_contracts.base import digest_of
from tuneloop_contracts.dataset import (
    HELD_OUT_FILE,
    MANIFEST_FILE,
    SUMMARY_FILE,
    TIME_FORWARD_FILE,
    TRAIN_FILE,
    USERS_FILE,
    Dataset,
    DatasetManifest,
)
from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_contracts.record import Feedback, Record, erased_key, feedback_stream, record_stream, user_hash
from tuneloop_contracts.stores import Store
from tuneloop_trainer.golden import OWNERS_FILE
from tuneloop_trainer.harvest.dataset import stored_digest

SALT = "0123456789abcdef"
ANA = user_hash(SALT.encode(), "default", "ana")
AT = NOW - timedelta(days=1)
STREAM, JUDGED = record_stream(TARGET, 0, AT.date()), feedback_stream(TARGET, 0, NOW.date())


OWN_LINE = '{"prompt": [{"role": "user", "content": "Who?"}], "completion": [{"role": "assistant", "content": "We."}]}\n'
"""Of a golden set that somebody added to: it needs no id."""


def interaction(number: int, key: str = "") -> str:
    return f"int-{number:028x}" + (f"-{key}" if key else "") + "-mark"


def entry(number: int, **changes: object) -> Record:
    """Every third is Ana's; each went through the cache."""
    whose = ANA if number % 3 == 0 else f"{number:024x}"
    said = f"Answer\u2028{number}."  # which JSON leaves as it is, and Python takes for the end of a line
    return record(number, id=interaction(number, f"key{number}"), user=whose, answer=said, **changes)


@dataclass
class Kept:
    """60 answers, 20 of them Ana's, in every place where answers are kept."""

    url: str
    folder: Path
    dataset: Dataset

    @property
    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url)

    def options(self, *more: str, user: str = "ana") -> list[str]:
        stores = ["--datasets", f"file://{self.folder}/datasets", "--adapters", f"file://{self.folder}/adapters"]
        salted = ["--manifest", f"{self.folder}/manifest.json"]
        return ["forget", "--user", user, "--target", TARGET, "--redis", self.url, *stores, *salted, *more]

    def dump(self) -> dict[str, bytes]:
        """All that Redis and the stores hold, but for what counts the erasure itself."""
        with self.client as client:
            streams = {name.decode(): repr(client.xrange(name)).encode() for name in client.scan_iter(_type="stream")}
            keys = streams | {name.decode(): client.get(name) for name in client.scan_iter(_type="string")}
        return keys | {str(file): _plain(file) for file in self.folder.rglob("*") if file.is_file()}


@pytest.fixture
def kept(redis_url: str, tmp_path: Path) -> Kept:
    write(redis_url, (entry(n) for n in range(60)), at=AT)
    of_hers, by_her = Feedback(interaction(3, "key3"), "up", by="b0b"), Feedback(interaction(4, "key4"), "up", by=ANA)
    judge(redis_url, of_hers, by_her, Feedback("other", "up"))
    with redis.Redis.from_url(redis_url) as client:
        for n in range(10):
            client.set(exact_entry(f"key{n}"), "answer")
            client.xadd(semantic_stream(TARGET), {"key": f"key{n}", "question": "q", "answer": "a"})
    dataset = harvest(redis_url, tmp_path / "datasets", archive=True, min_held_out=15)  # fewer than hers: she is on both sides
    with (tmp_path / "datasets" / "golden" / TARGET / "support.jsonl").open("a") as golden:
        golden.write(OWN_LINE)
    (tmp_path / "manifest.json").write_text(AdapterManifest(salt=SALT).model_dump_json(by_alias=True))
    for name, digest in (("seen", dataset.digest), ("unseen", "sha256:other")):
        adapter = tmp_path / "adapters" / "support" / f"sha256-{name}"
        adapter.mkdir(parents=True)
        (adapter / PROVENANCE_FILE).write_text(provenance(digest).model_dump_json(by_alias=True))
    return Kept(redis_url, tmp_path, dataset)


def _plain(file: Path) -> bytes:
    return zstandard.decompress(file.read_bytes()) if file.suffix == ".zst" else file.read_bytes()


def provenance(digest: str) -> Provenance:
    return Provenance(
        domain="support", base_model="b", base_digest="", dataset_digest=digest, data_from="", data_until="", target=TARGET, rank=1,
        alpha=1, examples=1, loss_base="", loss_candidate="",
    )  # fmt: skip


def counts(said: str) -> dict[str, str]:
    lines = [line.rsplit(maxsplit=1) for line in said.splitlines() if ": " in line and not line.startswith("adapters")]
    return dict(lines)


def test_a_person_is_gone_from_every_place_and_everyone_else_is_there(kept: Kept) -> None:
    golden = kept.folder / "datasets" / "golden" / TARGET
    held = sum((golden / "support.jsonl").read_text().count(f'"id":"{interaction(n, f"key{n}")}"') for n in range(0, 60, 3))
    done = command(*kept.options())
    assert done.returncode == 0, done.stderr
    assert counts(done.stdout) == {
        "record: answers": "20", "record: feedback": "2", "archive: entries": "22", "cache: exact": "4", "cache: semantic": "4",
        "datasets: rows": "20", "golden sets: rows": str(held),
    }  # fmt: skip
    assert held > 0
    assert (golden / "support.jsonl").read_text().endswith(OWN_LINE)
    assert "support/sha256-seen\n" in done.stdout
    assert "unseen" not in done.stdout
    with kept.client as client:
        users = [record.user for record in recorded(client)]
        assert (len(users), ANA in users) == (40, False)
        assert [fields[b"id"] for _, fields in client.xrange(JUDGED)] == [b"other"]
        assert {n for n in range(10) if client.exists(exact_entry(f"key{n}"))} == {n for n in range(10) if n % 3}
        said = [fields for _, fields in client.xrange(semantic_stream(TARGET))]
    assert {fields[b"key"] for fields in said if b"key" in fields} == {b"key%d" % n for n in range(10) if n % 3}
    assert {fields[b"forget"] for fields in said if b"forget" in fields} == {b"key0", b"key3", b"key6", b"key9"}
    left = b"".join(content for name, content in kept.dump().items() if "manifest.json" not in name)
    assert not any(interaction(n, f"key{n}").encode() in left for n in range(0, 60, 3))
    assert ANA.encode() not in left
    assert all(interaction(n, f"key{n}").encode() in left for n in range(60) if n % 3)


def test_a_dataset_says_what_it_is_now_and_was(kept: Kept) -> None:
    command(*kept.options())
    folder = folder_of(kept.dataset)
    digest = stored_digest(Store(kept.dataset.uri))
    assert digest != kept.dataset.digest
    assert Dataset.model_validate_json((folder / SUMMARY_FILE).read_text()).digest == digest
    manifest = DatasetManifest.model_validate_json((folder / MANIFEST_FILE).read_text())
    assert (manifest.erased, manifest.earlier_digests) == (20, (kept.dataset.digest,))
    assert manifest.files == {name: digest_of([folder / name]) for name in manifest.files}
    assert {TRAIN_FILE, HELD_OUT_FILE, USERS_FILE} <= manifest.files.keys()


def test_an_adapter_is_still_named_when_the_dataset_has_lost_another_person(kept: Kept) -> None:
    command(*kept.options())
    done = command(*kept.options(user=f"{4:024x}"))
    assert counts(done.stdout)["datasets: rows"] == "1"
    assert "support/sha256-seen\n" in done.stdout


def test_a_second_run_finds_nothing_and_changes_nothing(kept: Kept) -> None:
    command(*kept.options())
    before = kept.dump()
    done = command(*kept.options())
    assert done.returncode == 0
    assert set(counts(done.stdout).values()) == {"0"}
    assert "adapters that saw them: none" in done.stdout
    assert kept.dump() == before


def test_a_dry_run_only_says_so(kept: Kept) -> None:
    before = kept.dump()
    done = command(*kept.options("--dry-run"))
    assert counts(done.stdout)["record: answers"] == "20"
    assert "support/sha256-seen" in done.stdout
    assert done.stdout.endswith("nothing was removed: --dry-run\n")
    assert kept.dump() == before


def test_nothing_that_is_printed_names_the_person(kept: Kept) -> None:
    done = command(*kept.options())
    assert "ana" not in done.stdout + done.stderr
    assert ANA not in done.stdout + done.stderr


def test_the_next_harvest_does_not_count_the_forgotten_as_lost(kept: Kept, tmp_path: Path) -> None:
    command(*kept.options(user=ANA))
    again = harvest(kept.url, tmp_path / "again")
    assert (again.read, again.lost) == (40, 0)


@pytest.mark.parametrize("retention", [timedelta(days=90), None], ids=["chosen", "for ever"])
def test_the_count_of_the_forgotten_stays_as_long_as_the_streams(kept: Kept, retention: timedelta | None) -> None:
    with kept.client as client:
        client.expire(JUDGED, timedelta(days=10))
        if retention:
            client.expire(STREAM, retention)
        assert command(*kept.options()).returncode == 0
        streams, counts = client.pexpiretime(STREAM), client.pexpiretime(erased_key(STREAM))
    assert counts == streams


def test_an_archive_that_lost_a_person_gives_everyone_else(kept: Kept) -> None:
    command(*kept.options())
    again = harvest(kept.url, kept.folder / "datasets", archive=True, job="chat/week-48")
    assert (again.read, again.lost) == (40, 0)


def test_without_stores_only_redis_is_looked_at(kept: Kept) -> None:
    done = command("forget", "--user", ANA, "--target", TARGET, REDIS_URL=kept.url)
    assert (counts(done.stdout)["record: answers"], counts(done.stdout)["datasets: rows"]) == ("20", "-")
    assert "not looked for" in done.stdout
    assert len((folder_of(kept.dataset) / USERS_FILE).read_text().splitlines()) == 60


def test_a_golden_row_outlives_its_dataset_and_is_found(kept: Kept) -> None:
    shutil.rmtree(folder_of(kept.dataset))
    shutil.rmtree(kept.folder / "datasets" / "_archive")
    with kept.client as client:
        client.flushall()
    done = command(*kept.options())
    assert int(counts(done.stdout)["golden sets: rows"]) > 0
    golden = kept.folder / "datasets" / "golden" / TARGET
    assert not any(interaction(n, f"key{n}") in file.read_text() for n in range(0, 60, 3) for file in golden.iterdir())
    assert ANA not in (golden / OWNERS_FILE).read_text()
    assert set(counts(command(*kept.options()).stdout).values()) == {"0"}


def test_another_target_is_left_alone(kept: Kept) -> None:
    write(kept.url, [entry(0)], target="chat/another", at=AT)
    command(*kept.options())
    with kept.client as client:
        assert client.xlen(record_stream("chat/another", 0, AT.date())) == 1


@pytest.mark.parametrize(
    ("options", "want"),
    [
        pytest.param(["--user", "ana"], "a name needs --manifest", id="a name without its salt"),
        pytest.param(["--user", "ana", "--manifest", "/nowhere.json"], "no adapter manifest", id="no such file"),
        pytest.param(["--user", ANA, "--datasets", "ftp://x"], "is not pvc://", id="no store"),
        pytest.param(["--user", ANA, "--target", "chat-llm"], "--target: must be <namespace>/<name>", id="no target"),
        pytest.param(["--user", ANA, "--redis", "nonsense"], "REDIS_URL", id="no Redis"),
    ],
)
def test_what_is_wrong_is_said_and_nobody_named(options: list[str], want: str) -> None:
    done = command("forget", "--target", TARGET, "--redis", "redis://127.0.0.1:1", *options)
    assert done.returncode == 2
    assert want in done.stderr
    assert "ana" not in done.stdout + done.stderr


def test_a_redis_that_is_away_is_another_time() -> None:
    done = command("forget", "--user", ANA, "--target", TARGET, "--redis", "redis://:hunter2@127.0.0.1:1")
    assert (done.returncode, "RedisUnreachable" in done.stderr, "hunter2" in done.stderr) == (1, True, False)


def test_the_hash_is_the_one_that_the_server_records() -> None:
    from tuneloop_server.record.interaction_ids import InteractionIds

    assert InteractionIds(lambda: SALT).hash_user("default", "ana") == ANA
    assert json.loads(AdapterManifest(salt=SALT).model_dump_json(by_alias=True))["salt"] == SALT


def test_what_a_harvest_under_way_wrote_down_goes_whole(kept: Kept) -> None:
    part = kept.folder / "datasets" / "_parts" / TARGET / "week-48-01234567" / "1.jsonl.zst"
    part.parent.mkdir(parents=True)
    part.write_bytes(zstandard.compress(b"{}"))
    command(*kept.options("--dry-run"))
    assert part.exists()
    command(*kept.options())
    assert not part.exists()


def test_a_row_goes_with_who_corrected_its_answer(redis_url: str, tmp_path: Path) -> None:
    write(redis_url, (record(n, user=f"{n:024x}") for n in range(60)), at=AT)
    judge(redis_url, Feedback(record(5).id, "down", correction="Under the stairs, says she.", by=ANA), Feedback(record(6).id, "up", by=ANA))
    dataset = harvest(redis_url, tmp_path / "datasets")
    files = [folder_of(dataset) / name for name in (TRAIN_FILE, HELD_OUT_FILE, TIME_FORWARD_FILE)]
    assert any("says she" in file.read_text() for file in files)
    done = command("forget", "--user", ANA, "--target", TARGET, "--redis", redis_url, "--datasets", f"file://{tmp_path}/datasets")
    assert counts(done.stdout)["datasets: rows"] == "1", done.stderr
    assert not any("says she" in file.read_text() for file in tmp_path.rglob("*.jsonl"))


def test_a_row_goes_with_any_of_those_who_asked_in_its_conversation(redis_url: str, tmp_path: Path) -> None:
    first = entry(0, conversation="shared")
    asked = {"role": "user", "content": "And what of the other thing?"}
    said = (*first.messages, {"role": "assistant", "content": first.answer}, asked)
    later = record(99, id=interaction(99), user="", conversation="shared", messages=said)
    write(redis_url, [first, *(record(n) for n in range(1, 60)), later], at=AT)
    folder = folder_of(harvest(redis_url, tmp_path / "datasets"))
    rows = [line for file in (TRAIN_FILE, HELD_OUT_FILE, TIME_FORWARD_FILE) for line in (folder / file).read_text().split("\n")]
    assert any(interaction(99) in row and first.answer in row for row in rows), "one row holds both turns"
    command("forget", "--user", ANA, "--target", TARGET, "--redis", redis_url, "--datasets", f"file://{tmp_path}/datasets")
    assert not any(first.answer in file.read_text() for file in tmp_path.rglob("*.jsonl"))
