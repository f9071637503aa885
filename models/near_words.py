"""`python models/near_words.py [FOLDER]`: the semantic cache's table of near words, from WordNet's files (Debian: wordnet-base).

Two words are near when a sense that they share is a good part of what each is used for, or one derives from the other (renew, renewal),
and their vectors agree. Who does something is not what is done: employer and employee stay apart.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from tuneloop_server.semcache.guard.lexicon import stemmed
from tuneloop_vectors.files import minilm_file
from tuneloop_vectors.words import FIRST_WORD, WordVectors

FOLDER = Path("/usr/share/wordnet")
TABLE = Path(__file__).parents[1] / "server_image/tuneloop_server/semcache/guard/words/near.en.txt"
KINDS = {"n": "1", "v": "2", "a": "3", "r": "4", "s": "5"}
DERIVED = ("+", "\\", "<")
"""WordNet's signs for: derivationally related, derived from an adjective, participle of a verb."""
ANOTHER = re.compile(r"(er|or|ar|ee|ist|ian|an|ant|ent|ship|hood|ary|ese|ish|ic|ize|ise)$")
"""Endings that make another thing of a word rather than the same in another class: who does it, where it is from, what it becomes."""
SYNONYMS = ((0.35, 0.2), (0.1, 0.3), (0.05, 0.45))
"""Least share of use and least cosine, of which one must hold; by reading samples of what lies between."""
DERIVATIONS = ((0.1, 0.35), (0.02, 0.5))

Synset = tuple[str, str]
"""Part of speech and place in its file."""
Pair = tuple[str, str]


@dataclass(frozen=True)
class Record:
    """One line of WordNet's data."""

    synset: Synset
    words: tuple[str, ...]
    keys: tuple[tuple[str, str, str, str], ...]
    """Word, kind, file and number: what counts are kept by."""
    links: tuple[tuple[int, Synset, int], ...]
    """Which word derives from which of another synset; from 1."""


def records(folder: Path) -> Iterator[Record]:
    """As wndb(5WN) says."""
    for name in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{name}").read_text("ascii").splitlines():
            if not line.startswith("  "):
                yield _record(line.partition(" | ")[0].split())


def _record(fields: list[str]) -> Record:
    place, file, kind = fields[:3]
    end = 4 + 2 * int(fields[3], 16)
    words = tuple(word.partition("(")[0] for word in fields[4:end:2])
    numbers = [f"{int(number, 16):02d}" for number in fields[5:end:2]]
    links = [fields[start : start + 4] for start in range(end + 1, end + 1 + 4 * int(fields[end]), 4)]
    return Record(
        ("a" if kind == "s" else kind, place),
        words,
        tuple((word.lower(), KINDS[kind], file, number) for word, number in zip(words, numbers, strict=True)),
        tuple((int(ends[:2], 16), (part, target), int(ends[2:], 16)) for sign, target, part, ends in links if sign in DERIVED),
    )


def counts(folder: Path) -> dict[tuple[str, ...], int]:
    """How often each sense was met in texts read by people."""
    counted: dict[tuple[str, ...], int] = {}
    for line in (folder / "cntlist.rev").read_text("ascii").splitlines():
        key, _, times = line.split()
        word, _, place = key.partition("%")
        counted[word, *place.split(":")[:3]] = int(times)
    return counted


def related(every: dict[Synset, Record]) -> Iterator[tuple[str, Synset, str, Synset, bool]]:
    """Words and their senses; whether they are derived."""
    for record in every.values():
        for one, other in combinations(record.words, 2):
            yield one, record.synset, other, record.synset, False
        for source, synset, target in record.links:
            if source and target:
                yield record.words[source - 1], record.synset, every[synset].words[target - 1], synset, True


def near(folder: Path) -> list[Pair]:
    every = {record.synset: record for record in records(folder)}
    counted = counts(folder)
    used: dict[str, dict[Synset, int]] = defaultdict(dict)
    for record in every.values():
        for key in record.keys:
            used[key[0]][record.synset] = 1 + counted.get(key, 0)
    common = {word for word in minilm_file("vocab.txt").read_text("utf-8").split("\n")[FIRST_WORD:] if word.isalpha() and len(word) > 2}
    shares: dict[tuple[Pair, bool], float] = {}
    for one, here, other, there, derived in related(every):
        if one in common and other in common and stemmed(one, "en") != stemmed(other, "en") and not (derived and _another(one, other)):
            pair = (min(one, other), max(one, other))
            share = min(used[one][here] / sum(used[one].values()), used[other][there] / sum(used[other].values()))
            shares[pair, derived] = max(share, shares.get((pair, derived), 0))
    vectors = WordVectors()
    alike = {pair: float(np.dot(*vectors.rows(pair))) for pair, _ in shares}
    bounds = {False: SYNONYMS, True: DERIVATIONS}
    kept = {pair for (pair, derived), share in shares.items() if any(share >= a and alike[pair] >= b for a, b in bounds[derived])}
    return sorted(kept)


def _another(one: str, other: str) -> bool:
    return bool(ANOTHER.search(one)) != bool(ANOTHER.search(other))


def main(folder: Path) -> None:
    head = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("#")]
    TABLE.write_text("\n".join([*head, *(" ".join(pair) for pair in near(folder))]) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
