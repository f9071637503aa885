"""`python -m tuneloop_server match`: the semantic cache's decision for pairs of texts, one JSON object a line."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from tuneloop_server.semcache.embed.base import Embedder, EmbedderUnavailable
from tuneloop_server.semcache.embed.choose import DEFAULT, make_embedder
from tuneloop_server.semcache.partition import LONGEST_QUESTION
from tuneloop_server.semcache.verdict import verdict

BAD_INPUT = 2
"""Exit code when a line could not be answered."""

HELP = """\
Reads JSON lines {"id", "a", "b"} on standard input: two questions, each as the last text of otherwise equal requests.
Writes a line {"id", "match", "similarity", "reason"} for each: whether the answer to one would be served for the other.

  match       true or false
  similarity  cosine of the two texts' vectors, -1 to 1
  reason      "similar"; or what kept them apart: "too long" (over 1000 characters, unless they are the same), "too far" (similarity
              under the embedder's threshold), or the rule of the guard that spoke first (number, negation, quotation, opposite,
              name, question, tense, person, content, direction, order, language)

A line that is not such an object is named on standard error, the others are answered, and the exit code is 2.
Where the guard only lacks words and one of the texts is English, a model is asked too: if it is sure, they match.
EMBEDDER chooses the embedder, as for the server: static (default), minilm, or the URL of an OpenAI-compatible endpoint.
"""


class BadLine(ValueError):
    """Says what is wrong with it, without quoting it."""


@dataclass(frozen=True)
class Pair:
    id: Any
    a: str
    b: str


def parse(line: str) -> Pair:
    """Raises BadLine."""
    try:
        value = json.loads(line)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # Python reads halves of surrogate pairs, and NaN
    except (ValueError, RecursionError) as error:
        raise BadLine("not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise BadLine("not a JSON object")
    for name in ("a", "b"):
        if not isinstance(value.get(name), str):
            raise BadLine(f"`{name}` must be a string")
    if "id" not in value:
        raise BadLine("`id` is missing")
    return Pair(value["id"], value["a"], value["b"])


async def decide(pair: Pair, embedder: Embedder) -> dict[str, Any]:
    """As the tier decides. Raises EmbedderUnavailable."""
    a, b = pair.a.strip(), pair.b.strip()
    vectors = await embedder.embed([a, b])
    similarity = float(vectors[0] @ vectors[1])
    if a != b and max(len(a), len(b)) > LONGEST_QUESTION:
        reason: str | None = "too long"
    else:
        reason = "too far" if similarity < embedder.threshold else verdict(a, b)
    return {"id": pair.id, "match": reason is None, "similarity": round(similarity, 4), "reason": reason or "similar"}


async def answer(lines: Iterable[str], embedder: Embedder, out: TextIO, err: TextIO) -> int:
    """How many lines were bad."""
    bad = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            decided = await decide(parse(line), embedder)
        except (BadLine, EmbedderUnavailable) as error:
            bad += 1
            print(f"line {number}: {error or 'the embedder gave no vectors'}", file=err)
            continue
        print(json.dumps(decided, ensure_ascii=False), file=out, flush=True)  # who asks line by line waits for each
    return bad


def main(arguments: list[str], env: Mapping[str, str] = os.environ) -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tuneloop_server match", description=HELP, formatter_class=formatter)
    parser.parse_args(arguments)
    try:
        embedder = make_embedder(env.get("EMBEDDER") or DEFAULT)
    except ValueError as fault:
        parser.error(f"EMBEDDER {fault}")
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="surrogateescape")  # type: ignore[union-attr] # what is no UTF-8 is a bad line
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    try:
        bad = asyncio.run(_run(embedder))
    except BrokenPipeError:  # as of `| head`; what is left in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return BAD_INPUT if bad else 0


async def _run(embedder: Embedder) -> int:
    try:
        return await answer(sys.stdin, embedder, sys.stdout, sys.stderr)
    finally:
        await embedder.close()
