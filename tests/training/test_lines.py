"""`redact` and `classify`, as scripts run it: JSON lines through a process of their own."""

import json
import subprocess
import sys
from pathlib import Path

from training.command import environment


def filtered(command: str, given: bytes, *options: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-m", "tuneloop_trainer", command, *options]
    return subprocess.run(words, input=given, env=environment(**env), capture_output=True, timeout=60, check=False)


def test_redact_answers_each_line_with_places_in_the_text_as_it_was() -> None:
    text = "Olá 👋 ana@example.com, ANA@example.com e (11) 91234-5678"
    lines = [{"id": 7, "text": text}, {"id": "b", "text": "nothing \ud800 here"}]
    done = filtered("redact", "".join(json.dumps(line) + "\n" for line in lines).encode())
    assert (done.returncode, done.stderr) == (0, b"")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["text"] == "Olá 👋 [EMAIL_1], [EMAIL_1] e [PHONE_1]"
    assert [(text[span["start"] : span["end"]], span["type"]) for span in first["spans"]] == [
        ("ana@example.com", "Email"), ("ANA@example.com", "Email"), ("(11) 91234-5678", "Phone"),
    ]  # fmt: skip
    assert (first["id"], second) == (7, {"id": "b", "text": "nothing \ud800 here", "spans": []})


def test_a_faulty_line_is_named_and_costs_no_other() -> None:
    faulty = b'{"id": 1, "text": "secret"\n[]\n{"text": "secret"}\n{"id": 1}\n{"id": 1, "text": 5}\n\xff\n' + b"[" * 100_000 + b"\n"
    done = filtered("redact", b'{"id": "a", "text": ""}\n\n' + faulty + b'\xef\xbb\xbf{"id": "z", "text": "x@example.com"}')
    assert done.returncode == 2
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["", "[EMAIL_1]"]
    assert done.stderr.decode().splitlines() == [
        "line 3: not JSON", 'line 4: not an object: write {"id": ..., "text": ...}', "line 5: id: is missing",
        "line 6: text: must be a string", "line 7: text: must be a string", "line 8: not UTF-8", "line 9: not JSON",
    ]  # fmt: skip


def test_each_answer_comes_before_the_next_line_is_read() -> None:
    words = [sys.executable, "-m", "tuneloop_trainer", "redact"]
    with subprocess.Popen(words, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for number in range(3):
            process.stdin.write(b'{"id": %d, "text": "x"}\n' % number)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def test_classify_says_domain_confidence_and_why(tmp_path: Path) -> None:
    lines = b'{"id": 1, "text": "Where is my refund?"}\n{"id": 2, "text": "qwrt"}\nx\n{"id": 3, "text": "Who painted the Mona Lisa?"}\n'
    done = filtered("classify", lines)
    assert (done.returncode, done.stderr) == (2, b"line 3: not JSON\n")
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert first == {"id": 1, "domain": "support", "confidence": 0.952, "reason": "Keyword: refund"}
    assert (second["domain"], second["confidence"], second["reason"][:10]) == ("unassigned", 0.0, "Unassigned")
    assert (third["domain"], third["reason"][:9], 0.5 < third["confidence"] < 1) == ("general", "Centroid:", True)
    (tmp_path / "own.json").write_text('[{"name": "art", "keywords": ["mona lisa"]}]')
    own = filtered("classify", lines, "--domains", str(tmp_path / "own.json"))
    assert [json.loads(line)["domain"] for line in own.stdout.splitlines()] == ["unassigned", "unassigned", "art"]


def test_classify_with_a_faulty_file_needs_an_edit() -> None:
    done = filtered("classify", b"", "--domains", "/nowhere.yaml")
    assert done.returncode == 2
    assert b"--domains: /nowhere.yaml cannot be read" in done.stderr
