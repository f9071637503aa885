"""`python models/paraphrase/train.py`: what the semantic cache asks where its guard's lists end; some twenty minutes on two cores.

It learns from groups/ and pairs.jsonl, which a language model wrote for this, from no public data set, and is judged on held_out/, which
others of the same kind wrote. A line of a group is {"q", "same", "other"}: a question, three that ask the same, three that do not.
"""

import json
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from network import Comparison, Texts
from safetensors.torch import save_file
from torch.nn.utils.rnn import pad_sequence

from tuneloop_server.semcache.minilm import encode, minilm
from tuneloop_server.semcache.paraphrase.model import LONGEST, WEIGHTS

HERE = Path(__file__).parent
MEMBERS = 3
"""Trained alike from other beginnings: the mean of what they say is surer than any of them."""
EPOCHS, BATCH = 3, 128
RATE, DECAY = 2e-3, 0.01
SMOOTHING = 0.02
"""A few of the labels are wrong."""
NEIGHBOURS = 20
"""Batches that are drawn together, and made of texts of like length."""
FALSE = (0.002, 0.005, 0.01, 0.02)
"""Shares of the pairs that ask otherwise, at which it is said how many of the others are found."""


@dataclass(frozen=True)
class Pair:
    a: str
    b: str
    same: bool


States = Mapping[str, torch.Tensor]
"""By text: [tokens, 384]."""
Logits = npt.NDArray[np.float32]
"""One a pair."""


def of_groups(file: Path) -> Iterator[Pair]:
    for line in file.read_text("utf-8").splitlines():
        group = json.loads(line)
        same = [group["q"], *group["same"]]
        yield from (Pair(same[a], same[b], True) for a in range(len(same)) for b in range(a))
        yield from (Pair(a, b, False) for a in same for b in group["other"])


def of_pairs(file: Path) -> Iterator[Pair]:
    for line in file.read_text("utf-8").splitlines():
        yield Pair(**json.loads(line))


def read_states(pairs: list[Pair]) -> States:
    """As the server reads them, in halves of their precision; texts that are longer than what it is asked of are cut."""
    texts = sorted({text for pair in pairs for text in (pair.a, pair.b)})
    with ThreadPoolExecutor(2) as pool:
        states = pool.map(lambda text: torch.from_numpy(minilm().states(encode(text))[:LONGEST]).half(), texts)
        return dict(zip(texts, states, strict=True))


def padded(texts: list[str], states: States) -> Texts:
    rows = [states[text].float() for text in texts]
    return Texts(pad_sequence(rows, batch_first=True), pad_sequence([torch.ones(len(row)) for row in rows], batch_first=True))


def batches(pairs: list[Pair], states: States) -> Iterator[list[Pair]]:
    """Shuffled; texts of like length together, or much would be padding."""
    pairs = random.sample(pairs, len(pairs))
    for begin in range(0, len(pairs), BATCH * NEIGHBOURS):
        near = sorted(pairs[begin : begin + BATCH * NEIGHBOURS], key=lambda pair: len(states[pair.a]) + len(states[pair.b]))
        parts = [near[at : at + BATCH] for at in range(0, len(near), BATCH)]
        yield from random.sample(parts, len(parts))


def logits(comparison: Comparison, pairs: list[Pair], states: States) -> torch.Tensor:
    return comparison(padded([pair.a for pair in pairs], states), padded([pair.b for pair in pairs], states))


def all_logits(comparison: Comparison, pairs: list[Pair], states: States) -> Logits:
    comparison.eval()
    with torch.inference_mode():
        return torch.cat([logits(comparison, pairs[at : at + BATCH], states) for at in range(0, len(pairs), BATCH)]).numpy()


def labels(pairs: list[Pair]) -> torch.Tensor:
    return torch.tensor([float(pair.same) for pair in pairs])


def train(pairs: list[Pair], states: States) -> Comparison:
    comparison = Comparison()
    optimizer = torch.optim.AdamW(comparison.parameters(), RATE, weight_decay=DECAY)
    steps = EPOCHS * (len(pairs) // BATCH + NEIGHBOURS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for epoch in range(EPOCHS):
        losses = []
        for some in batches(pairs, states):
            comparison.train()
            wanted = labels(some) * (1 - 2 * SMOOTHING) + SMOOTHING
            loss = F.binary_cross_entropy_with_logits(logits(comparison, some, states), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {np.mean(losses):.4f}", flush=True)
    return comparison


def judge(name: str, pairs: list[Pair], said: Logits) -> None:
    same = labels(pairs).numpy() > 0
    apart = np.sort(said[~same])[::-1]
    for share in FALSE:
        bound = apart[int(len(apart) * share)]
        found = f"{np.mean(said[same] > bound):.1%} of {same.sum()} found"
        print(f"{name}: {share:.1%} of {len(apart)} false at {bound:.2f}, {found}", flush=True)


def main() -> None:
    learned = [pair for file in sorted(HERE.glob("groups/*.jsonl")) for pair in of_groups(file)] + list(of_pairs(HERE / "pairs.jsonl"))
    held_out = {file.stem: list(of_groups(file)) for file in sorted(HERE.glob("held_out/*.jsonl"))}
    states = read_states([*learned, *(pair for pairs in held_out.values() for pair in pairs)])
    members = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        random.seed(seed)
        members.append(train(learned, states))
    for name, pairs in held_out.items():
        judge(name, pairs, np.mean([all_logits(member, pairs, states) for member in members], axis=0))
    tensors = ((f"{number}.{name}", tensor) for number, member in enumerate(members) for name, tensor in member.named_parameters())
    save_file({name: tensor.detach().half().contiguous() for name, tensor in tensors}, WEIGHTS)
    WEIGHTS.chmod(0o644)  # a pod's user is another


if __name__ == "__main__":
    main()
