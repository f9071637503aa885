"""Supervised tokens a second of one adapter on logged chats: ours, TRL's defaults, and TRL as well tuned as we can."""

import tempfile
from pathlib import Path

import torch

from builders_adapters import base_folder
from interleaved import medians
from report import Row, higher_is_better, report
from trlprocess import NAME, TrlProcess
from tuning import assert_equal_gradients, chats, encoded, for_trl, load, own_seconds

CHATS, ROUNDS, EIGHT = 32, 3, 8


def main() -> None:
    torch.set_num_threads(2)
    base = load()
    rows = encoded(base, chats(CHATS))
    supervised = sum(row.supervised for row in rows)
    print(f"{CHATS} chats: {sum(len(row.tokens) for row in rows)} tokens, {supervised} supervised")
    with (
        tempfile.TemporaryDirectory() as temporary,
        TrlProcess(base_folder(), "defaults") as plain,
        TrlProcess(base_folder(), "tuned", max_length=1024, gradient_accumulation_steps=64) as tuned,
    ):
        folder = Path(temporary)
        for peer in (plain, tuned):
            assert_equal_gradients(base, peer, rows, folder)
        file = for_trl(rows, folder / "rows.jsonl")
        took = medians(
            {
                "ours": lambda: own_seconds(base, rows),
                "defaults": lambda: sum(plain.train(file, CHATS // EIGHT).seconds),
                "tuned": lambda: sum(tuned.train(file, 1).seconds),
            },
            ROUNDS,
        )
    rate = {name: supervised / seconds for name, seconds in took.items()}
    rows_out: list[Row] = [
        higher_is_better("logged chats (goal 3x)", "supervised tok/s", rate["ours"], f"{NAME}, defaults", rate["defaults"]),
        higher_is_better("logged chats (goal 1.4x)", "supervised tok/s", rate["ours"], f"{NAME}, packing", rate["tuned"]),
    ]
    report("train-throughput", rows_out)


if __name__ == "__main__":
    main()
