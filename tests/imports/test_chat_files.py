"""Files of OpenAI's format for chats, to a dataset and back, by the commands as people run them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.command import command, environment
from training.traffic import TARGET
from tuneloop_contracts.base import digest_of
from tuneloop_contracts.dataset import HELD_OUT_FILE, MANIFEST_FILE, TRAIN_FILE, Dataset, DatasetManifest
from tuneloop_contracts.stores import Store
from tuneloop_trainer.dataset_ref import resolved
from tuneloop_trainer.golden import golden_store
from tuneloop_trainer.harvest.dataset import stored_digest
from tuneloop_trainer.imports.layout import Unusable
from tuneloop_trainer.openai_chat import exchanges_of, line_of
from tuneloop_trainer.rows import Row, read_rows
from tuneloop_trainer.store import put_bytes

COLOURS = ("red", "blue", "green", "black", "white", "grey", "pink", "brown", "gold", "silver")


def said(role: str, content: object, **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


def line(*messages: dict[str, object]) -> str:
    return json.dumps({"messages": messages})


def chat(number: int) -> str:
    question = f"Where do I put the {COLOURS[number % 10]} box of shelf {number}, please?"
    return line(said("system", "You know the store."), said("user", question), said("assistant", f"On shelf {number + 1}."))


def imported(folder: Path, lines: list[str], *options: str) -> tuple[Dataset, str]:
    file = folder / "chats.jsonl"
    file.write_text("\n".join(lines) + "\n")
    words = ["--file", str(file), "--datasets", f"file://{folder}/datasets", "--target", TARGET, "--min-examples", "5"]
    done = command("import", *words, *options)
    assert done.returncode == 0, done.stderr
    uri, digest = done.stdout.splitlines()[-1].removeprefix("data.datasetRef: {uri: ").removesuffix("}").split(", digest: ")
    return resolved(Dataset(uri=uri, digest=digest, from_="", to="", read=0, kept=0)), done.stdout


def rows(dataset: Dataset) -> list[Row]:
    folder = Path(dataset.uri.removeprefix("file://"))
    return [row for name in (TRAIN_FILE, HELD_OUT_FILE) for row in read_rows(folder / name)]


def test_a_file_of_chats_becomes_a_dataset_that_a_job_can_name(tmp_path: Path) -> None:
    broken = ["{", line(), line(said("user", "Nobody answers?")), "", line(said("user", "Mail ana@example.com?"), said("assistant", "No."))]
    dataset, shown = imported(tmp_path, [*(chat(n) for n in range(30)), *broken], "--domain", "storehouse")
    assert dataset.trainable == ("storehouse",)
    assert {row.domain for row in rows(dataset)} == {"storehouse"}
    assert (dataset.read, dataset.kept) == (31, 31)
    assert "example.com" not in "".join(row.to_line() for row in rows(dataset))
    assert "1 lines skipped, line 32 first: no messages" in shown
    assert "1 lines skipped, line 33 first: no answer to learn" in shown
    assert "1 lines skipped, line 31 first: not harvestable: neither text nor JSON" in shown
    folder = Path(dataset.uri.removeprefix("file://"))
    manifest = DatasetManifest.model_validate_json((folder / MANIFEST_FILE).read_text())
    assert manifest.imported[0].imported == 31
    assert manifest.files[TRAIN_FILE] == digest_of([folder / TRAIN_FILE])


def test_an_answer_in_parts_and_a_mark_before_the_first_line_are_read(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "On the roof."}]
    lines = [f"\ufeff{chat(0)}", *(chat(n) for n in range(1, 10)), line(said("user", "Where is the cat?"), said("assistant", parts))]
    dataset, shown = imported(tmp_path, lines, "--domain", "storehouse")
    assert "11 answers read, 11 kept\n" in shown
    assert any("On the roof." in row.to_line() for row in rows(dataset))


@pytest.mark.parametrize(
    ("content", "options", "want"),
    [
        pytest.param("", [], "no line has an answer to learn", id="empty"),
        pytest.param("x\n{}\n", [], "learn, 1 lines skipped, line 1 first: not harvestable: neither text nor JSON, 1 lines", id="no chats"),
        pytest.param('{"prompt": "a", "completion": "b"}', [], 'a line must be {"messages": [{"role": ', id="another format"),
        pytest.param(chat(1), ["--min-examples", "0"], "argument --min-examples: 0 is not at least 1", id="none"),
        pytest.param(chat(1), ["--domain", "Bad Name"], "--domain 'Bad Name': must be a DNS label", id="no name for a domain"),
    ],
)
def test_what_gives_no_dataset_needs_an_edit(content: str, options: list[str], want: str, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(content)
    done = command("import", "--file", str(file), "--datasets", f"file://{tmp_path}/datasets", "--target", TARGET, *options)
    assert (done.returncode, want in done.stderr) == (2, True), done.stderr


def test_a_reader_that_has_seen_enough_ends_the_export(tmp_path: Path) -> None:
    dataset, _ = imported(tmp_path, [chat(n) for n in range(2000)], "--domain", "storehouse")
    words = [sys.executable, "-m", "tuneloop_trainer", "export", "--dataset", dataset.uri]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert (process.wait(timeout=60), process.stderr.read()) == (0, b"")


def test_the_same_file_is_the_same_dataset(tmp_path: Path) -> None:
    first, _ = imported(tmp_path, [chat(n) for n in range(20)])
    again, _ = imported(tmp_path, [chat(n) for n in range(20)])
    assert (again.uri, again.digest) == (first.uri, first.digest)
    other, _ = imported(tmp_path, [chat(n) for n in range(21)])
    assert other.uri != first.uri


def test_what_was_exported_can_be_imported_again(tmp_path: Path) -> None:
    dataset, _ = imported(tmp_path, [chat(n) for n in range(30)], "--domain", "storehouse")
    parts = [command("export", "--dataset", dataset.uri, "--part", part).stdout for part in ("train", "held-out")]
    lines = "".join(parts).splitlines()
    assert len(lines) == len(rows(dataset)) == 30
    again, _ = imported(tmp_path, lines, "--domain", "storehouse")
    before, after = (sorted(json.dumps([row.prompt, row.completion]) for row in rows(one)) for one in (dataset, again))
    assert before == after
    assert stored_digest(Store(dataset.uri)) == dataset.digest, "exporting changes nothing"


def test_a_question_of_any_golden_set_of_the_target_is_not_learned(tmp_path: Path) -> None:
    golden = golden_store(Store(f"file://{tmp_path}/datasets"), TARGET, "removed-since")
    prompt, completion = json.loads(chat(3))["messages"][:2], json.loads(chat(3))["messages"][2:]
    put_bytes(golden, json.dumps({"prompt": prompt, "completion": completion}).encode())
    dataset, _ = imported(tmp_path, [chat(n) for n in range(30)], "--domain", "storehouse")
    assert dataset.kept == 29
    assert "shelf 3," not in "".join(row.to_line() for row in rows(dataset))


def test_answers_that_are_only_read_are_not_learned_and_say_so_when_written() -> None:
    messages = (
        said("user", "a"), said("assistant", "b", weight=0), said("user", "c"), said("assistant", "d", weight=1), said("user", "e"),
        said("assistant", "f"),
    )  # fmt: skip
    learned = exchanges_of(line(*messages), "s")
    assert [(len(one.messages), one.answer) for one in learned] == [(3, "d"), (5, "f")]
    assert not any("weight" in message for one in learned for message in one.messages)
    prompt = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"})
    turns = [("assistant", "d"), ("user", "e"), ("assistant", "f"), ("user", "g"), ("assistant", "h")]
    row = Row("i", "support", "c", prompt, tuple({"role": role, "content": text} for role, text in turns), learned=(0, 4))
    assert [one.answer for one in exchanges_of(line_of(row), "s")] == ["d", "h"]
    assert exchanges_of(line_of(row), "s")[-1].messages == (*row.prompt, *row.completion[:4])


@pytest.mark.parametrize("text", ["[]", "null", '{"messages": 3}', '{"messages": [3]}', '{"messages": [{"content": "x"}]}', "[" * 9999, ""])
def test_a_line_that_is_none_is_refused_without_a_crash(text: str) -> None:
    with pytest.raises(Unusable):
        exchanges_of(text, "s")


def test_tools_go_to_the_funnel_which_refuses_them(tmp_path: Path) -> None:
    call = said("assistant", None, tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}])
    tools = line(said("user", "Look it up."), call, said("tool", "42", tool_call_id="1"), said("assistant", "It is 42."))
    dataset, _ = imported(tmp_path, [*(chat(n) for n in range(10)), tools])
    assert {count.name: count.count for count in dataset.dropped}["NotText"] == 1


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        pytest.param(["import", "--file", "/nowhere", "--datasets", "file:///tmp/x", "--target", "a/b"], "--file /nowhere", id="no file"),
        pytest.param(["import", "--file", "ftp://x", "--datasets", "file:///tmp/x", "--target", "a/b"], "is not pvc://", id="no store"),
        pytest.param(["import", "--file", __file__, "--datasets", "file:///tmp/x", "--target", "a"], "target: must be", id="no target"),
        pytest.param(["export", "--dataset", "file:///nowhere"], "status.dataset.uri", id="no dataset"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], want: str) -> None:
    done = command(*arguments)
    assert (done.returncode, want in done.stderr) == (2, True), done.stderr
