"""Reading the record, against what the single-machine system did and against what Redis itself can give: `make bench-harvest`.

The original kept one key an interaction, found them by SCAN, fetched them by GET and parsed them by json.loads. Here the same million
interactions of about a kilobyte are there in both layouts, theirs in a database of their own so that SCAN meets nothing else. Ours are
read as the harvest reads them: every field typed, the messages decoded. Set INTERACTIONS for another number.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import redis

from interleaved import medians
from redisserver import RedisServer
from report import Row, higher_is_better, lower_is_better, report
from tuneloop_contracts.record import SCHEMA, Record, meta_key, record_stream
from tuneloop_contracts.stores import Store
from tuneloop_trainer.harvest.archive import Archive
from tuneloop_trainer.harvest.collect import rarely_looking_for_cycles
from tuneloop_trainer.harvest.connect import connect
from tuneloop_trainer.harvest.pages import PAGE
from tuneloop_trainer.harvest.retry import RetryPolicy
from tuneloop_trainer.harvest.segments import archive_store
from tuneloop_trainer.harvest.source import Source

TARGET = "bench/llm"
INTERACTIONS = int(os.environ.get("INTERACTIONS", "1000000"))
NEW = 1000
DAYS = 30
END = datetime(2026, 3, 31, 12, tzinfo=UTC)
ROUNDS = 5
SAMPLE = 30_000
"""Keys that the original's way reads in a round; all of them once."""
PEER = "SCAN + GET + json.loads"
CEILING = "redis-benchmark XRANGE, one connection"
WORDS = "please tell me how this order was charged and why the invoice that came with it names another amount than the page did "


def interaction(number: int) -> Record:
    question, answer = f"Question {number}: {WORDS * 2}", f"Answer {number}: {WORDS * 3}"
    messages = ({"role": "system", "content": "You are the assistant of a shop. Be brief."}, {"role": "user", "content": question})
    return Record(
        f"0198c5a2-{number:012d}", f"c-{number // 3:012d}", f"{number % 5000:024x}", "default", "auto", "support-v1-1a2b3c4d", "support",
        False, "gen", "stop", 812, 131, 97, messages, answer,
    )  # fmt: skip


def fill(url: str, numbers: range, begin: datetime, span: timedelta) -> None:
    """Both layouts, spread over the days."""
    records, keys = redis.Redis.from_url(url), redis.Redis.from_url(url, db=1)
    records.hset(meta_key(TARGET), mapping={"shards": "1", "schema": SCHEMA})
    for first in range(numbers.start, numbers.stop, NEW):
        streams, strings = records.pipeline(transaction=False), keys.pipeline(transaction=False)
        for n in range(first, min(first + NEW, numbers.stop)):
            at, one = begin + span * ((n - numbers.start) / len(numbers)), interaction(n)
            fields = one.to_fields()
            streams.xadd(record_stream(TARGET, 0, at.date()), fields, id=f"{int(at.timestamp() * 1000)}-{n}")  # type: ignore[arg-type]
            strings.set(f"interaction:{one.id}", json.dumps(one._asdict()))
        streams.execute()
        strings.execute()


def original(url: str) -> Iterator[dict[str, Any]]:
    client = redis.Redis.from_url(url, db=1)
    for key in client.scan_iter(match="interaction:*"):
        yield json.loads(client.get(key))  # type: ignore[arg-type]


def source(client: "redis.Redis") -> Source:
    return Source(client, RetryPolicy(lambda reason: None, time.monotonic, time.sleep), TARGET, END - timedelta(days=DAYS), END)


def ours(url: str) -> Iterator[Record]:
    with connect(url) as client, rarely_looking_for_cycles():
        reading = source(client)
        yield from map(attrgetter("record"), reading.entries(reading.read_watermarks(reading.shards())))
        assert reading.lost == 0


def equal_rows(url: str) -> float:
    """Asserts that both ways give the same interactions; the seconds that the original's way takes for all of them."""
    told = {record.id: hash((record.answer, record.messages[-1]["content"], record.user)) for record in ours(url)}
    began = time.perf_counter()
    for row in original(url):
        assert told.pop(row["id"]) == hash((row["answer"], row["messages"][-1]["content"], row["user"]))
    seconds = time.perf_counter() - began
    assert not told
    return seconds


def rate(rows: Iterator[object]) -> float:
    began = time.perf_counter()
    count = sum(1 for _ in rows)
    return count / (time.perf_counter() - began)


def bandwidth(url: str, work: Callable[[], object]) -> float:
    """Megabytes of replies a second, as the server counts them."""
    with redis.Redis.from_url(url) as client:
        before, began = _sent(client), time.perf_counter()
        work()
        return (_sent(client) - before) / (time.perf_counter() - began) / 1e6


def ceiling(port: int) -> None:
    stream = record_stream(TARGET, 0, (END - timedelta(days=DAYS // 2)).date())
    command = ["redis-benchmark", "-p", str(port), "-c", "1", "-n", "1000", "XRANGE", stream, "-", "+", "COUNT", str(PAGE)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def new_only(url: str, folder: Path, numbers: range) -> float:
    """Seconds until interactions that are new since the last harvest are read and sealed."""
    with connect(url) as client:
        reading = source(client)
        archive = Archive(reading, archive_store(Store(f"file://{folder}"), TARGET))
        archive.seal(reading.read_watermarks(reading.shards()))
        taken = []
        for first in range(numbers.start, numbers.stop, NEW):
            fill(url, range(first, first + NEW), END - timedelta(hours=2 - (first - numbers.start) / len(numbers)), timedelta(seconds=1))
            began = time.perf_counter()
            archive.seal(reading.read_watermarks(reading.shards()))
            taken.append(time.perf_counter() - began)
        watermarks = reading.read_watermarks(reading.shards())
        sealed = [entry for _, entry in zip(range(5 * NEW), archive.entries(watermarks), strict=False)]
        assert sealed == list(islice(reading.entries(watermarks), 5 * NEW))
    return sorted(taken)[len(taken) // 2]


def measure(server: RedisServer) -> list[Row]:
    url = server.url
    whole = equal_rows(url)
    print(f"both ways read the same {INTERACTIONS:,} interactions; the original's took {whole:.1f} s", flush=True)
    found = medians(
        {
            "original, rows/s": lambda: rate(islice(original(url), SAMPLE)),
            "ours, rows/s": lambda: rate(ours(url)),
            "ours, MB/s": lambda: bandwidth(url, lambda: rate(ours(url))),
            "ceiling, MB/s": lambda: bandwidth(url, lambda: ceiling(server.port)),
        },
        ROUNDS,
    )
    with tempfile.TemporaryDirectory() as folder:
        new = new_only(url, Path(folder), range(INTERACTIONS, INTERACTIONS + ROUNDS * NEW))
    return [
        higher_is_better("rows read, messages decoded", "rows/s", found["ours, rows/s"], PEER, found["original, rows/s"]),
        higher_is_better("bytes read, messages decoded", "MB/s", found["ours, MB/s"], CEILING, found["ceiling, MB/s"]),
        lower_is_better(f"{NEW} new in {INTERACTIONS:,}", "ms", 1000 * new, f"{PEER}, all again", 1000 * whole),
    ]


def _sent(client: "redis.Redis") -> int:
    return int(client.info("stats")["total_net_output_bytes"])  # type: ignore[index]


def main() -> None:
    server = RedisServer().start()
    try:
        began = time.perf_counter()
        fill(server.url, range(INTERACTIONS), END - timedelta(days=DAYS), timedelta(days=DAYS - 1))
        print(f"{INTERACTIONS:,} interactions written, twice, in {time.perf_counter() - began:.0f} s", flush=True)
        report("harvest", measure(server))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
