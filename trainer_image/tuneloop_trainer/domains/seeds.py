"""Sentences typical of a domain."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from tuneloop_contracts.domains import DEFAULT_DOMAINS, Domain

LANGUAGES = ("en", "pt")


def seeds_of(domain: Domain) -> Sequence[str]:
    """Its own examples, and for a domain of a default's name the sentences that come with it."""
    return (*domain.examples, *built_in(domain.name))


@cache
def built_in(name: str) -> tuple[str, ...]:
    """() for a domain that is none of the default ones."""
    if name not in {domain.name for domain in DEFAULT_DOMAINS}:
        return ()
    folder = files(__package__).joinpath("seeds")
    texts = (folder.joinpath(f"{name}.{language}.txt").read_text(encoding="utf-8") for language in LANGUAGES)
    return tuple(line for text in texts for line in text.splitlines())
