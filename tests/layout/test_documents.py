"""What the documents say can be done can be done: their links lead somewhere, their commands are ours, their examples answer."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tuneloop_trainer.commands import parser

ROOT = Path(__file__).parents[2]
USERS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL = [*USERS, *sorted(file for folder in ("charts", "examples", "tests/cluster") for file in (ROOT / folder).rglob("*.md"))]


def shell_lines(file: Path) -> list[str]:
    """Of the blocks marked `sh`; one that is continued counts as one."""
    blocks = re.findall(r"```sh\n(.*?)```", file.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


LINES = [line for file in USERS for line in shell_lines(file)]
EXAMPLES = [line for line in LINES if line.startswith("echo ")]
COMMANDS = [line.partition("-m tuneloop_trainer ")[2].partition(" #")[0] for line in LINES if "-m tuneloop_trainer " in line]
ANSWERS = {"redact": ("text", "mail [EMAIL_1]"), "classify": ("domain", "support"), "match": ("match", False)}


@pytest.mark.parametrize("file", ALL, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text()) if "://" not in link]
    assert [link for link in links if link and not (file.parent / link).exists()] == []


@pytest.mark.parametrize("file", USERS, ids=lambda file: file.name)
def test_only_targets_that_exist_are_named(file: Path) -> None:
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if line[:1].isalpha() and ":" in line}
    benches = {f"bench-{path.stem.replace('_', '-')}" for path in (ROOT / "benchmarks").glob("*.py")}
    assert set(re.findall(r"`make ([a-z-]+)`", file.read_text())) <= targets | benches


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_knows_what_is_shown(command: str) -> None:
    assert parser().parse_args(shlex.split(command)).command in ("redact", "classify", "forget", "inspect", "run")


def test_a_person_named_by_name_is_shown_with_the_manifest_that_holds_the_salt() -> None:
    (forget,) = [parser().parse_args(shlex.split(command)) for command in COMMANDS if command.startswith("forget ")]
    assert forget.user
    assert forget.manifest


@pytest.mark.parametrize("line", EXAMPLES)
def test_what_can_be_tried_answers(line: str) -> None:
    command = re.sub(r"(\.venv/bin/)?python -m", f"{shlex.quote(sys.executable)} -m", line)
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    field, wanted = next(answer for name, answer in ANSWERS.items() if f" {name}" in line)
    assert json.loads(done.stdout)[field] == wanted


def test_each_step_is_shown_to_be_tried() -> None:
    assert {name for name in ANSWERS for line in EXAMPLES if f" {name}" in line} == ANSWERS.keys()
