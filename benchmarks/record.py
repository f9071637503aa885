"""What recording costs a request: the same server, asked with `X-Record: no` and without, in turns: `make bench-record`."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import hits
from report import Row, higher_is_better, lower_is_better, report
from served import HEADERS, pin, question, served
from serverprocess import BASE, ServerProcess

PEER = "the same server with X-Record: no"
OFF = {"X-Record": "no"}
STREAMS = 8
TOKENS = 32
REPEATS = 8
SECONDS = 2.0
CONNECTIONS = 8


def generation(server: ServerProcess, headers: dict[str, str]) -> float:
    """Tokens per second of eight streams at once, all with the same prompt and past the cache."""

    def ask(_: int) -> int:
        answer = server.ask(BASE, "Tell me a long story.", max_tokens=TOKENS, headers=headers | {"Cache-Control": "no-store"})
        assert answer.headers["X-Cache"] == "bypass"
        return int(answer.json()["usage"]["completion_tokens"])

    began = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        tokens = sum(pool.map(ask, range(STREAMS)))
    return tokens / (time.perf_counter() - began)


def in_turns(server: ServerProcess) -> list[Row]:
    on, off = hits.request(question(), HEADERS), hits.request(question(), HEADERS | OFF)
    generated: dict[bool, list[float]] = {True: [], False: []}
    rates: dict[bool, list[float]] = {True: [], False: []}
    slowest: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(REPEATS):
        for recorded in (True, False) if turn % 2 else (False, True):
            asked = on if recorded else off
            pin(server, 0, 1)
            generated[recorded].append(generation(server, {} if recorded else OFF))
            pin(server, 0)
            rates[recorded].append(hits.measure(server.port, asked, cpu=1, seconds=SECONDS, connections=CONNECTIONS).per_second)
            slowest[recorded].append(hits.measure(server.port, asked, cpu=1, seconds=SECONDS, connections=1).p99)
    made, rate, p99 = (
        {recorded: statistics.median(values[recorded]) for recorded in (True, False)} for values in (generated, rates, slowest)
    )
    print(f"generation costs {100 * (1 - made[True] / made[False]):.1f} % of throughput (goal: 1 %)")
    print(f"exact hits cost {100 * (1 - rate[True] / rate[False]):.1f} % (goal: 10 %); p99 {p99[True] - p99[False]:+.3f} ms (goal: 0.3 ms)")
    return [
        higher_is_better(f"generation, {STREAMS} streams", "tokens/s", made[True], PEER, made[False]),
        higher_is_better("exact hits on one core", "per second", rate[True], PEER, rate[False]),
        lower_is_better("exact hits, p99", "ms", p99[True], PEER, p99[False]),
    ]


def main() -> None:
    with served() as server:
        first = server.ask(BASE, str(question()["messages"]), max_tokens=TOKENS)
        silent = server.ask(BASE, str(question()["messages"]), max_tokens=TOKENS, headers=OFF | {"Cache-Control": "no-store"})
        assert first.json()["choices"] == silent.json()["choices"]
        for headers in ({}, OFF):  # the answer that is hit
            server.ask(BASE, "", messages=question()["messages"], max_tokens=128, headers=headers)
        rows = in_turns(server)
        before = server.metric("tuneloop_records_dropped_total")
        print(f"entries of the record that were given up: {before:.0f}")
        report("record", rows)


if __name__ == "__main__":
    main()
