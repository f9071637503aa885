"""What one entry offers to learn, or why nothing: decided by that entry alone, wherever and in whatever order it is asked."""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple

from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.record import Feedback, Record, user_hash
from tuneloop_trainer.curate.admit import OVER_LIMIT, Candidate, drop_reason
from tuneloop_trainer.curate.example import EntryId, Example
from tuneloop_trainer.curate.golden import Golden
from tuneloop_trainer.curate.redact.digits import LEAST
from tuneloop_trainer.curate.redact.replace import redact_example
from tuneloop_trainer.curate.redact.span import Find, Span

IN_GOLDEN_SET = "InGoldenSet"
"""It judges another domain's adapter; or this one's, and cannot be held out beside what that learns."""
REMEMBERED = 4096
"""Texts whose finds are kept: a turn repeats all that was said before it."""


_NUMBER = re.compile(rf"\d{{{LEAST}}}")


class Dropped(NamedTuple):
    reason: str
    domain: str


Offer = Callable[[EntryId, Record, Callable[[], str], Feedback | None, Collection[str]], Example | Dropped]
"""Of an entry, its record, its domain if that is asked for, what was said of it, and the domains that have all they may: of these it says
OVER_LIMIT, before the costly steps, unless there is a reason that no other entry has a part in."""


def offering(config: HarvestConfig, golden: Golden, find: Find) -> Offer:
    """`find`: what is taken out where `pii` is Redact."""
    if config.curation.pii != "Redact":
        return partial(_offer, config=config, golden=golden, find=_nothing, named=str)
    find = lru_cache(REMEMBERED)(find)
    named = lru_cache(REMEMBERED)(partial(_named, salt=config.salt, find=find))
    return partial(_offer, config=config, golden=golden, find=find, named=named)


def _offer(
    at: EntryId, record: Record, domain: Callable[[], str], feedback: Feedback | None, full: Collection[str],
    *, config: HarvestConfig, golden: Golden, find: Find, named: Callable[[str], str],
) -> Example | Dropped:  # fmt: skip
    seen = Candidate(at, record, feedback, domain())
    if reason := drop_reason(seen, config):
        return Dropped(reason, seen.domain)
    if seen.domain in full:
        return Dropped(OVER_LIMIT, seen.domain)
    example = redact_example(seen.to_example(named(record.conversation)), find)
    holders = golden.holders(example.asked)
    if holders - {seen.domain}:
        return Dropped(IN_GOLDEN_SET, seen.domain)
    return replace(example, golden=True) if holders else example


def _nothing(text: str) -> list[Span]:
    return []


def _named(conversation: str, salt: str, find: Find) -> str:
    """A client may call a conversation by who it is with: a number or an address goes no further than its hash. Any long number may be
    a telephone's: it costs nothing to take too many for one, since the name means nothing here."""
    told = _NUMBER.search(conversation) or find(conversation)
    return f"c-{user_hash(salt.encode(), 'conversation', conversation)}" if told else conversation
