"""What a Redis holds: targets, streams, days, entries, domains. Counts only: no text is read."""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, cast

import redis

from tuneloop_contracts.jobs import EXIT_DONE, REDIS_URL_ENV, RedisMode
from tuneloop_contracts.record import (
    COUNT_PREFIX,
    META_PATTERN,
    RECORD_KIND,
    counts_in,
    day_of,
    kind_of,
    repeats_pattern,
    streams_pattern,
    target_of_meta,
)
from tuneloop_trainer.config import redis_url
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.key_types import is_text, must_hold, number_of, shards_of
from tuneloop_trainer.harvest.retry import without_retry
from tuneloop_trainer.table import as_table

Target = dict[str, Any]
"""`target`, `shards`, `domains` {name: records ever}, `days` [{day, streams, entries, feedback, repeated}]; repeated: answers
that the cache gave again, which are no entries."""

COLUMNS = ("streams", "entries", "feedback", "repeated")
"""Of a day."""


def show(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises TryLater when Redis does not answer: somebody is waiting, so it is asked once."""
    url = redis_url({REDIS_URL_ENV: options.redis or env.get(REDIS_URL_ENV, "")})
    with without_retry(), connect(url, RedisMode(options.redis_mode)) as client:
        targets = [describe(client, key) for key in _keys(client, META_PATTERN) if options.target in ("", target_of_meta(key))]
    print(json.dumps(targets, indent=2) if options.json else as_text(targets, options.target))
    return EXIT_DONE


def describe(client: "redis.Redis", meta: str) -> Target:
    target = target_of_meta(meta)
    must_hold(client, "hash", [meta])
    fields = {key.decode(errors="replace"): value for key, value in cast("dict[bytes, bytes]", client.hgetall(meta)).items()}
    shards = shards_of(target, fields.get("shards"))
    numbers = {key: str(number_of(meta, key, value)) for key, value in fields.items() if key.startswith(COUNT_PREFIX)}
    return {"target": target, "shards": shards, "domains": dict(sorted(counts_in(numbers).items())), "days": _days(client, target)}


def as_text(targets: list[Target], wanted: str = "") -> str:
    if not targets:
        return f"{wanted or 'no target'} has recorded {'nothing' if wanted else 'anything'} here"
    return "\n\n".join(_as_text(target) for target in targets)


def _as_text(target: Target) -> str:
    domains = ", ".join(f"{name} {count}" for name, count in target["domains"].items()) or "none yet"
    rows = [(day["day"], *(str(day[column]) for column in COLUMNS)) for day in target["days"]]
    total = ("total", *(str(sum(day[column] for day in target["days"])) for column in COLUMNS))
    lines = as_table(("DAY", *(column.upper() for column in COLUMNS)), [*rows, total])
    return f"{target['target']}  (shards: {target['shards']}; records by domain: {domains})\n{lines}"


def _days(client: "redis.Redis", target: str) -> list[dict[str, Any]]:
    days: dict[str, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(COLUMNS, 0))
    streams, repeats = _keys(client, streams_pattern(target)), _keys(client, repeats_pattern(target))
    must_hold(client, "stream", streams)
    must_hold(client, "hash", repeats)
    for key in streams:
        counts = days[day_of(key)]
        counts["streams"] += 1
        counts["entries" if kind_of(key) == RECORD_KIND else "feedback"] += client.xlen(key)
    for key in repeats:
        counted = cast("dict[bytes, bytes]", client.hgetall(key)).items()
        days[day_of(key)]["repeated"] += sum(number_of(key, name.decode(errors="replace"), count) for name, count in counted)
    return [{"day": day, **counts} for day, counts in sorted(days.items())]


def _keys(client: "redis.Redis", pattern: str) -> list[str]:
    """SCAN may give a key twice. What is no text is no key of ours."""
    return sorted({key.decode() for key in client.scan_iter(match=pattern, count=1000) if is_text(key)})
