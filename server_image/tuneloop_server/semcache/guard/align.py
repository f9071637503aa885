"""What the content of two texts has in common, though in other words."""

from collections.abc import Iterator
from dataclasses import replace

from tuneloop_server.semcache.guard.grammar import ADVICE, TIMES, USING
from tuneloop_server.semcache.guard.lexicon import Lexicon, lexicon
from tuneloop_server.semcache.guard.reading import Reading


def aligned(a: Reading, b: Reading) -> tuple[Reading, Reading]:
    """Both without the words that only one has and that add nothing, and with one word where they have near ones."""
    words = lexicon(a.language)
    only_a, only_b = _only(a, b), _only(b, a)
    compared = "differ" in a.content and "differ" in b.content  # what a question tells apart are no near words in it
    into = {} if compared else dict(_near(only_a, only_b, words))
    rest_a, rest_b = set(only_a) - set(into), set(only_b) - set(into.values())
    asked = a.questions | b.questions
    thing = "what" in asked and not TIMES & set(a.content)  # what I need is not what I have; how often I need to is how often
    light = words.light if "yes-no" in asked else words.light | (ADVICE - {"need"} if thing else ADVICE)
    if "quantiti" in a.content and "quantiti" in b.content:
        light |= USING
    if not (rest_a and rest_b):
        light |= words.kinds | {tool for tool, parts in words.implied.items() if parts & set(a.content) & set(b.content)}
    return _rewritten(a, into, light & rest_a), _rewritten(b, {}, light & rest_b)


def _only(a: Reading, b: Reading) -> list[str]:
    return [concept for concept in dict.fromkeys(a.content) if concept not in b.content]


def _near(only_a: list[str], only_b: list[str], words: Lexicon) -> Iterator[tuple[str, str]]:
    """Each word of the other once."""
    free = list(only_b)
    for concept in only_a:
        partner = next((other for other in free if frozenset((concept, other)) in words.near), None)
        if partner:
            free.remove(partner)
            yield concept, partner


def _rewritten(reading: Reading, into: dict[str, str], gone: frozenset[str]) -> Reading:
    return replace(
        reading,
        content=tuple(into.get(concept, concept) for concept in reading.content if concept not in gone),
        names=frozenset(into.get(name, name) for name in reading.names),
        marked={mark: frozenset(into.get(concept, concept) for concept in found - gone) for mark, found in reading.marked.items()},
    )
