"""The whole of curation on one core, from entries of the record to the rows of a dataset: `make bench-curate`.

Conversations of one to four turns, every turn recorded with all that was said before it, in English and Portuguese, some with personal
data, copies and near copies, thumbs and corrections; made from a seed. And a million plain entries of which most domains have none, so
that all are read: what is held for each. Nothing here has a peer: the goals are the issue's.
"""

import random
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from report import Row, higher_is_better, lower_is_better, report
from tuneloop_contracts.domains import DEFAULT_DOMAINS
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.record import Feedback, Record
from tuneloop_trainer.curate import funnel, offer
from tuneloop_trainer.curate.example import Entry
from tuneloop_trainer.curate.funnel import Curated, curate
from tuneloop_trainer.harvest.collect import rarely_looking_for_cycles

CONVERSATIONS = 10_000
REPEATS = 3
ENTRIES = 1_000_000
GOAL, GOAL_BYTES = 2000.0, 600.0
STEPS = (
    (funnel, "domains_of"), (offer, "drop_reason"), (offer, "redact_example"), (funnel, "_settled"), (funnel, "_without_poison"),
    (funnel, "threads"), (funnel, "split"), (funnel, "_counted"),
)  # fmt: skip

ABOUT = {
    "technical": ("the python function", "a database query", "the docker package", "o servidor linux", "a biblioteca python"),
    "support": ("my refund", "the last invoice", "my subscription", "a fatura de maio", "a minha assinatura", "the delivery"),
    "general": ("the weather", "a good book", "the long way home", "o jantar de hoje", "um bom filme", "the old town"),
}  # fmt: skip
WORDS = (
    "amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jade", "koala", "lemon", "maple", "nectar", "olive",
    "about", "after", "before", "between", "during", "while", "which", "never", "always", "often", "perhaps", "really", "quite", "under",
    "without",
)  # fmt: skip
PERSONAL = ("write to ana.{n}@example.com", "call +55 11 91234-{m:04d}", "my card is 4111 1111 1111 1111", "CPF 529.982.247-25")


def config(**changes: object) -> HarvestConfig:
    plain = HarvestConfig(
        job="bench/curate", target="bench/curate", window_start="2026-01-01T00:00:00Z", window_end="2026-02-01T00:00:00Z",
        domains=DEFAULT_DOMAINS, datasets_uri="file:///nowhere",
    )  # fmt: skip
    return plain.model_copy(update=changes)


def talk(number: int) -> list[Record]:
    """One conversation, oldest turn first."""
    draw = random.Random(number)
    domain = draw.choice(list(ABOUT))
    said: list[dict[str, Any]] = []
    if draw.random() < 0.3:
        said.append({"role": "system", "content": "You are a helpful assistant. " + sentence(draw, 60)})
    records = []
    for turn in range(draw.choice((1, 1, 2, 3, 4))):
        about = draw.choice(ABOUT[domain])
        question = f"Please tell me {sentence(draw, 12)} {about} {sentence(draw, 6)}?"
        if draw.random() < 0.1:
            question += " " + draw.choice(PERSONAL).format(n=number, m=number % 10_000)
        if draw.random() < 0.1:
            question = f"What can you say of {about} number {number % 50}?"
        said.append({"role": "user", "content": question})
        answer = sentence(draw, draw.choice((20, 60, 120)))
        records.append(record(number, turn, tuple(said), answer))
        said.append({"role": "assistant", "content": answer})
    return records


def record(number: int, turn: int, messages: tuple[dict[str, Any], ...], answer: str) -> Record:
    return Record(
        id=f"int-{number:028x}-{turn}", conversation=f"c-{number:024x}", user=f"u-{number % 2000}", tenant="default", model="auto",
        revision="base", domain="general", tagged=False, source="gen", finish="stop", milliseconds=400, prompt_tokens=100,
        completion_tokens=100, messages=messages, answer=answer,
    )  # fmt: skip


def sentence(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(WORDS, k=words))


def traffic(conversations: int) -> tuple[list[Entry], dict[str, Feedback]]:
    """Newest first; every twentieth talk was judged."""
    turns = [one for number in range(conversations) for one in talk(number)]
    entries = [Entry((n, 0), one) for n, one in enumerate(turns)][::-1]
    judged = [one.id for one in turns[::40]]
    return entries, {name: Feedback(name, "up" if n % 2 else "down", "" if n % 2 else f"Rather {n}.", "b") for n, name in enumerate(judged)}


def speed() -> tuple[float, float, Counter[str], Curated]:
    """Conversations and entries a second, with nothing left out by a full domain; and the seconds of each step, in a run of its own."""
    entries, feedback = traffic(CONVERSATIONS)
    wish, seconds = config(max_examples_per_domain=1_000_000), []
    for _ in range(REPEATS):
        with rarely_looking_for_cycles():  # as every harvest does
            began = time.process_time()
            done = curate(entries, feedback, wish)
            seconds.append(time.process_time() - began)
        print(f"  {CONVERSATIONS} conversations, {len(entries)} entries: {seconds[-1]:.2f} s, kept {done.kept}", flush=True)
    assert done.read == len(entries) == done.kept + sum(count.count for count in done.dropped)
    return CONVERSATIONS / median(seconds), len(entries) / median(seconds), steps(lambda: curate(entries, feedback, wish)), done


def steps(work: Callable[[], object]) -> Counter[str]:
    """Seconds spent in each step; the rest is the loop itself, and the clock."""
    spent: Counter[str] = Counter()
    originals = [(module, name, getattr(module, name)) for module, name in STEPS]

    def timed(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*arguments)
            finally:
                spent[name] += time.perf_counter() - began

        return run

    try:
        for module, name, step in originals:
            setattr(module, name, timed(name.strip("_"), step))
        began = time.perf_counter()
        work()
        whole = time.perf_counter() - began
    finally:
        for module, name, step in originals:
            setattr(module, name, step)
    spent["loop"] = whole - spent.total()
    return spent


def tagged(number: int) -> Entry:
    """A plain entry of a text of its own; nine in ten of one domain."""
    domain = "support" if number % 10 else "technical"
    words = " ".join(f"{WORDS[(number // 30**place) % 30]}{number}" for place in range(8))
    one = record(number, 0, ({"role": "user", "content": f"Please explain {words} to me"},), f"It is {words}, and so it was before.")
    return Entry((number, 0), one._replace(tagged=True, domain=domain, user=""))


def memory() -> tuple[float, int, int]:
    """Bytes that the process grew by at most, per entry, over a window in which most domains never fill; entries read; and the entries
    that are read where all fill. First of all in a process, as its peak never falls."""
    wish = config(max_examples_per_domain=5000)
    before = 4096 * int(Path("/proc/self/statm").read_text().split()[1])
    done = curate((tagged(n) for n in range(ENTRIES, 0, -1)), {}, wish)
    grown = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert done.read == ENTRIES == done.kept + sum(count.count for count in done.dropped)
    full = curate((tagged(n) for n in range(ENTRIES, 0, -1)), {}, config(max_examples_per_domain=500, selected=("support", "technical")))
    assert full.kept == 1000
    return grown / ENTRIES, done.kept, full.read


def main() -> None:
    per_entry, kept, full = memory()
    print(f"memory: {per_entry:.0f} bytes an entry at the most, over {ENTRIES} entries of which {kept} were kept")
    print(f"where both domains asked for may hold 500, {full} entries are read of {ENTRIES}")
    conversations, entries, spent, done = speed()
    print("\nshare of the time (one more run, with the clock in it):")
    for name, seconds in spent.most_common():
        print(f"  {name:16} {100 * seconds / spent.total():5.1f} %")
    print("dropped:", ", ".join(f"{count.name} {count.count}" for count in done.dropped))
    report("curate", table(conversations, entries, per_entry))


def table(conversations: float, entries: float, per_entry: float) -> list[Row]:
    return [
        higher_is_better("conversations on one core", "per second", conversations, "the goal", GOAL),
        higher_is_better("entries on one core", "per second", entries, "the goal, were every conversation one entry", GOAL),
        lower_is_better("memory over 1M entries", "bytes each", per_entry, "the goal", GOAL_BYTES),
    ]


if __name__ == "__main__":
    main()
