"""Multi-turn logs behind a long shared system prompt, each answer learned: ours computes what they share once; TRL, as well tuned as
we can, gets the same rows."""

import tempfile
from pathlib import Path

import torch

from builders_adapters import base_folder
from interleaved import medians
from report import higher_is_better, report
from trlprocess import NAME, TrlProcess
from tuneloop_trainer.learn.packs.tree import trees
from tuneloop_trainer.rows import Message
from tuneloop_trainer.rows import Row as Logged
from tuning import SYSTEM, assert_equal_gradients, encoded, for_trl, load, own_seconds, pairs

TURNS, ROUNDS = (4, 3), 3
RULES = 22
"""Sentences of the system prompt beside SYSTEM: about 600 tokens."""


def talks() -> list[Logged]:
    known = [pair for pair in pairs() if len(pair[1]) < 90]
    rules = " ".join(f"When asked: {question} you may say: {answer}" for question, answer in known[:RULES])
    system: Message = {"role": "system", "content": f"{SYSTEM} {rules}"}
    made = []
    for number, turns in enumerate(TURNS):
        said: list[Message] = []
        for question, answer in known[100 + 10 * number : 100 + 10 * number + turns]:
            said += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        learned = tuple(range(0, 2 * turns - 1, 2))
        made.append(Logged(f"t{number}", "general", f"c{number}", (system, said[0]), tuple(said[1:]), learned))
    return made


def main() -> None:
    torch.set_num_threads(2)
    base = load()
    rows = encoded(base, talks())
    supervised, whole = sum(row.supervised for row in rows), sum(len(row.tokens) for row in rows)
    computed = sum(tree.size for tree in trees(rows, base.placement.tokens_per_batch))
    print(f"{len(rows)} answers of {len(TURNS)} conversations: {whole} tokens one by one, {computed} as trees; {supervised} supervised")
    with (
        tempfile.TemporaryDirectory() as temporary,
        TrlProcess(base_folder(), "tuned", max_length=1024, gradient_accumulation_steps=64) as tuned,
    ):
        folder = Path(temporary)
        assert_equal_gradients(base, tuned, rows, folder)
        file = for_trl(rows, folder / "rows.jsonl")
        took = medians({"ours": lambda: own_seconds(base, rows), "tuned": lambda: sum(tuned.train(file, 1).seconds)}, ROUNDS)
    ours, theirs = supervised / took["ours"], supervised / took["tuned"]
    report("train-turns", [higher_is_better("turns, shared prompt (goal 5x)", "supervised tok/s", ours, f"{NAME}, packing", theirs)])


if __name__ == "__main__":
    main()
