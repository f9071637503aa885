"""The command, as anybody would run it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from builders_adapters import REPOSITORY


def match(text: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join(str(REPOSITORY / name) for name in ("contracts", "server_image"))
    command = [sys.executable, "-m", "tuneloop_server", "match", *arguments]
    return subprocess.run(
        command,
        input=text,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env=os.environ | {"PYTHONPATH": places} | environment,
        timeout=60,
        check=False,
    )


def line(number: int, a: Any, b: Any) -> str:
    return json.dumps({"id": number, "a": a, "b": b}) + "\n"


def test_it_judges_pairs_line_by_line() -> None:
    done = match(
        line(1, "How do I reset my password?", "how to reset my password") + "\n" + line(2, "17 * 23", "17 * 24")
        + line(3, "Who wrote Hamlet?", "How long do I boil an egg?")
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    answers = [json.loads(text) for text in done.stdout.splitlines()]
    assert [(answer["id"], answer["match"], answer["reason"]) for answer in answers] == [
        (1, True, "similar"), (2, False, "number"), (3, False, "too far"),
    ]  # fmt: skip
    assert all(-1 <= answer["similarity"] <= 1.001 for answer in answers)


def test_it_asks_the_model_as_the_tier_does() -> None:
    one, other, alike = "What is the difference between a trademark and a ", "copyright?", "patent?"
    done = match(line(1, one + other, "I keep confusing copyright with trademark protection, can you tell me what sets them apart?")
    + line(2, one + other, one + alike))  # fmt: skip
    assert [json.loads(text)["match"] for text in done.stdout.splitlines()] == [True, False]


def test_bad_lines_are_named_and_good_ones_answered() -> None:
    bad = [
        "secret nonsense", "[]", '{"id": 1, "a": "x"}', '{"a": "x", "b": "y"}', '{"id": 1, "a": "x", "b": 3}',
        '{"id": NaN, "a": "x", "b": "x"}', '{"id": "\\ud800", "a": "x", "b": "x"}', '{"id": 1, "a": "\\ud800", "b": "x"}',
        '{"id": 1, "a": "\udcff", "b": "x"}',
    ]  # fmt: skip
    done = match("\n".join(bad) + "\n" + line(9, "Where is it?", "where is it"))
    assert done.returncode == 2
    assert [text.split(":")[0] for text in done.stderr.splitlines()] == [f"line {number}" for number in range(1, 10)]
    assert "secret" not in done.stderr
    assert json.loads(done.stdout)["id"] == 9


def test_what_the_tier_never_compares_is_no_match() -> None:
    """But the very same is answered by the exact tier, however long."""
    long = "Why does it rain so much in autumn? " * 40
    done = match(line(1, long, long + "Please tell me.") + line(2, long, long) + line(3, f"  {long[:900]}", f"{long[:900]}  "))
    answers = [json.loads(text) for text in done.stdout.splitlines()]
    assert [(answer["match"], answer["reason"]) for answer in answers] == [(False, "too long"), (True, "similar"), (True, "similar")]


@pytest.mark.parametrize("given", ["4", "café 🎉", None, [1, {"of": "many"}], 1.5, True])
def test_an_id_comes_back_as_it_was(given: Any) -> None:
    """Also after the mark that Windows puts before a text, and where the terminal has another encoding."""
    done = match("\ufeff" + json.dumps({"id": given, "a": "ça va", "b": "ça va"}, ensure_ascii=False), PYTHONIOENCODING="latin-1")
    assert (done.returncode, json.loads(done.stdout)["id"]) == (0, given)


def test_it_answers_each_line_at_once_and_ends_when_nobody_reads_on() -> None:
    places = os.pathsep.join(str(REPOSITORY / name) for name in ("contracts", "server_image"))
    command = [sys.executable, "-m", "tuneloop_server", "match"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": places}, encoding="utf-8", **pipes) as running:  # type: ignore[call-overload]
        assert running.stdin
        assert running.stdout
        assert running.stderr
        running.stdin.write(line(1, "x", "x"))
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["id"] == 1
        running.stdout.close()
        running.stdin.write(line(2, "x", "x"))
        running.stdin.close()
        assert (running.stderr.read(), running.wait(60)) == ("", 0)


def test_a_command_that_is_not_there_is_refused() -> None:
    places = os.pathsep.join(str(REPOSITORY / name) for name in ("contracts", "server_image"))
    command = [sys.executable, "-m", "tuneloop_server", "mach"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": places}, check=False)
    assert (done.returncode, "unrecognized arguments: mach" in done.stderr) == (2, True)


def test_it_explains_itself_and_refuses_an_unknown_embedder() -> None:
    assert "similarity" in match("", "--help").stdout
    refused = match("", EMBEDDER="word2vec")
    assert refused.returncode == 2
    assert "EMBEDDER" in refused.stderr


def test_it_loads_no_torch() -> None:
    run = "import sys; from tuneloop_server.__main__ import main; main(['match']); "
    probe = f"{run} sys.exit(bool({{'torch', 'transformers'}} & {{*sys.modules}}))"
    places = os.pathsep.join(str(REPOSITORY / name) for name in ("contracts", "server_image"))
    done = subprocess.run([sys.executable, "-c", probe], stdin=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": places}, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("kind", ["static", "minilm"])
def test_either_embedder_serves(kind: str) -> None:
    done = match(line(1, "How do I reset my password?", "how to reset my password"), EMBEDDER=kind)
    assert json.loads(done.stdout)["match"] is True
