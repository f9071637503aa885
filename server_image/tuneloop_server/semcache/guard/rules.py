"""One rule a family. Each says why two texts do not ask the same, or nothing."""

from tuneloop_server.semcache.guard.grammar import GOALS, OWNERS, SOURCES, TURNING
from tuneloop_server.semcache.guard.lexicon import lexicon
from tuneloop_server.semcache.guard.reading import Reading, folded

PREFIXES = ("un", "in", "im", "ir", "il", "dis", "de", "non", "anti", "mis", "des", "re", "over", "under", "pre", "post")
"""What turns or changes a word: able and unable, ativar and desativar, pay and repay."""
FLOATING = frozenset(
    {
        "price", "durat", "quantiti", "height", "distanc", "age", "frequenc", "size", "length", "differ", "need", "permit", "mean", "stand",
        "biggest", "smallest", "best", "worst", "minimum", "maximum", "purpos", "praz", "preç",
    }
)  # fmt: skip
"""Concepts that may stand anywhere: attributes and relations that a question names before or after what it asks about."""


def numbers(a: Reading, b: Reading) -> str | None:
    """Also their order: 10 > 20 is not 20 > 10."""
    return "number" if a.numbers != b.numbers or _measures_another(a, b) else None


def _measures_another(a: Reading, b: Reading) -> bool:
    """How many pounds are 80 kilograms, how many kilograms are 80 pounds."""
    both = a.measured.keys() & b.measured.keys()
    return any(a.measured[n] != b.measured[n] and a.measured[n] <= set(b.content) and b.measured[n] <= set(a.content) for n in both)


def negation(a: Reading, b: Reading) -> str | None:
    return "negation" if a.negations != b.negations else None


def quotation(a: Reading, b: Reading) -> str | None:
    """The marks themselves say nothing: the meaning of 'pro bono' is the meaning of pro bono."""
    return None if _says(b, a.quoted) and _says(a, b.quoted) else "quotation"


def _says(reading: Reading, quoted: frozenset[str]) -> bool:
    return all(f" {folded(string)} " in f" {reading.folded} " for string in quoted - reading.quoted)


def names(a: Reading, b: Reading) -> str | None:
    return "name" if not (a.names <= set(b.content) and b.names <= set(a.content)) else None


def opposites(a: Reading, b: Reading) -> str | None:
    known = lexicon(a.language).opposites
    only_a, only_b = set(a.content) - set(b.content), set(b.content) - set(a.content)
    turned = any(frozenset((x, y)) in known or _prefixed(x, y) for x in only_a for y in only_b)
    return "opposite" if turned else None


def _prefixed(x: str, y: str) -> bool:
    """Stems of one family are not always cut alike (ativ, desat), so beginnings are compared."""
    rests = [(long.removeprefix(prefix), short) for long, short in ((x, y), (y, x)) for prefix in PREFIXES if long.startswith(prefix)]
    return any(len(rest) >= 2 and short.startswith(rest) for rest, short in rests)


def question(a: Reading, b: Reading) -> str | None:
    if a.questions != b.questions and not (_may_be(a, b) or _may_be(b, a)):
        return "question"
    tenses = {a.tense, b.tense} - {""}
    soon = tenses == {"present", "future"} and "yes-no" not in a.questions  # when do I, when will I
    return "tense" if len(tenses) > 1 and not soon else None


def _may_be(bare: Reading, other: Reading) -> bool:
    """A text without a question word may ask what the other asks: keywords (`capital of France`, `sort a list`) for a fact or a way, but
    a wish (`cancel my order`) for no way, and what is said of something (`my order is late`) for no fact; and with a question mark (`you
    open on Sunday?`) whether it is so."""
    if bare.questions:
        return False
    owned = bare.owners or other.owners
    fact = other.questions == {"what"} and not (owned and bare.folded.partition(" ")[0] in OWNERS)
    way = other.questions == {"how"} and not owned
    return fact or way or (bare.asking and other.questions == {"yes-no"})


def persons(a: Reading, b: Reading) -> str | None:
    subjects = a.subject and b.subject and a.subject != b.subject and "1" in (a.subject, b.subject)
    owners = a.owners and b.owners and a.owners != b.owners
    return "person" if subjects or owners else None


def content(a: Reading, b: Reading) -> str | None:
    """Each as often: to learn machine learning is more than machine learning. A text without content (`What is it?`) asks something only
    its circumstances know."""
    return "content" if sorted(a.content) != sorted(b.content) or not (a.content or a.numbers) else None


def direction(a: Reading, b: Reading) -> str | None:
    """From A to B against from B to A."""
    for mark in {*a.marked, *b.marked}:
        here, there = a.marked.get(mark, frozenset()), b.marked.get(mark, frozenset())
        moved = [(x, y) for x in here - there for y in there - here]
        if moved and (mark in TURNING or "owner" in a.marked.keys() & b.marked.keys() or any(_turned(a, b, x, y) for x, y in moved)):
            return "direction"
    crossed = _sources(a) & _goals(b) | _sources(b) & _goals(a)
    return "direction" if crossed else None


def _turned(a: Reading, b: Reading, x: str, y: str) -> bool:
    """Ounces in a pound and pounds in an ounce; not the calories in an avocado and an avocado's calories."""
    if not {x, y} <= set(a.content) & set(b.content):
        return True
    return (a.content.index(x) < a.content.index(y)) != (b.content.index(x) < b.content.index(y))


def _sources(reading: Reading) -> frozenset[str]:
    return frozenset().union(*(reading.marked.get(mark, frozenset()) for mark in SOURCES))


def _goals(reading: Reading) -> frozenset[str]:
    return frozenset().union(*(reading.marked.get(mark, frozenset()) for mark in GOALS))


def order(a: Reading, b: Reading) -> str | None:
    """Equal content in another order is another question, but for one part that moved: `Python: sort a list`, `the app's language`.
    What changes places with another (the teacher knows the student) takes two moves. Who did X and who X-ed are never the same, though
    at most the verb has moved; and what is negated stays so (Redis, not Valkey)."""
    scopes = _scopes(a, b)
    here, there = _ordered(a, scopes), _ordered(b, scopes)
    if a.inverted != b.inverted and not FLOATING & set(a.content):
        return "order"
    if not _negate_the_same(a, b) or ("who" in a.questions and here[:1] != there[:1]):
        return "order"
    return None if _one_moved(here, there) else "order"


def _negate_the_same(a: Reading, b: Reading) -> bool:
    windows = [(one, other) for one, other in zip(a.negated, b.negated, strict=False) if set(one) != set(other)]
    pairs = [pair for one, other in windows for pair in zip(one, other, strict=False)]
    return all(x == y for x, y in pairs if x in b.content and y in a.content)


def _scopes(a: Reading, b: Reading) -> frozenset[str]:
    """The tool that one of them works in: `in Python, sort a list`."""
    named = lexicon(a.language).scopes & set(a.content)
    return named if len(named) == 1 and named <= _within(a) | _within(b) else frozenset()


def _within(reading: Reading) -> frozenset[str]:
    return reading.marked.get("in", frozenset()) | reading.marked.get("on", frozenset())


def _one_moved(here: tuple[str, ...], there: tuple[str, ...]) -> bool:
    """Without what begins and ends both, the one is the other turned."""
    while here and there and here[0] == there[0]:
        here, there = here[1:], there[1:]
    while here and there and here[-1] == there[-1]:
        here, there = here[:-1], there[:-1]
    return any(here == there[place:] + there[:place] for place in range(max(len(there), 1)))


def _ordered(reading: Reading, scopes: frozenset[str]) -> tuple[str, ...]:
    moves = FLOATING | scopes
    return tuple(dict.fromkeys(concept for concept in reading.content if concept not in moves))
