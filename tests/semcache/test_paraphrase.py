"""The model that the cache asks where its guard's lists end: that it is what was trained, and right on groups it was not trained on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils.rnn import pad_sequence

from builders_adapters import REPOSITORY
from tuneloop_server.semcache.guard.judge import objection
from tuneloop_server.semcache.minilm import encode, minilm
from tuneloop_server.semcache.paraphrase.model import LONGEST, WEIGHTS, paraphrase_model
from tuneloop_server.semcache.verdict import verdict

TRAINED = REPOSITORY / "models/paraphrase"
TEXTS = ("How do I reset my password?", "I can't get into my account any more, how can I choose a new secret word?", "Hi")
HELD_OUT = 60
"""Groups of each file: a part, so that it takes seconds."""


def test_it_says_what_the_network_says_that_was_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """In numpy a pair at a time, in torch many with padding."""
    monkeypatch.syspath_prepend(TRAINED)
    import network

    weights = {name: tensor.float() for name, tensor in load_file(WEIGHTS).items()}
    members = []
    for number in sorted({name.partition(".")[0] for name in weights}):
        member = network.Comparison().eval()
        member.load_state_dict({name.partition(".")[2]: tensor for name, tensor in weights.items() if name.startswith(f"{number}.")})
        members.append(member)
    states = [torch.from_numpy(minilm().states(encode(text))) for text in TEXTS]
    texts = network.Texts(pad_sequence(states, batch_first=True), pad_sequence([torch.ones(len(one)) for one in states], batch_first=True))
    here, there = [0, 0, 1], [1, 2, 2]
    with torch.inference_mode():
        pairs = [network.Texts(texts.states[some], texts.mask[some]) for some in (here, there)]
        theirs = torch.stack([member(*pairs) for member in members]).mean(dim=0)
    ours = [paraphrase_model().logit(TEXTS[a], TEXTS[b]) for a, b in zip(here, there, strict=True)]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-3)


def test_neither_text_is_the_first() -> None:
    model = paraphrase_model()
    assert model.logit(TEXTS[0], TEXTS[1]) == pytest.approx(model.logit(TEXTS[1], TEXTS[0]), abs=1e-4)


def test_it_is_not_sure_of_a_text_that_is_longer_than_what_it_knows() -> None:
    long = "how do I reset my password " * LONGEST
    assert not paraphrase_model().is_sure(long, long)


@pytest.mark.parametrize("held_out", sorted(TRAINED.glob("held_out/*.jsonl")), ids=lambda file: file.stem)
def test_with_it_more_is_found_and_hardly_more_is_false(held_out: Path) -> None:
    groups = [json.loads(line) for line in held_out.read_text("utf-8").splitlines()[:HELD_OUT]]
    same = [(group["q"], other) for group in groups for other in group["same"]]
    apart = [(group["q"], other) for group in groups for other in group["other"]]
    by_guard, found = (np.mean([judge(a, b) is None for a, b in same]) for judge in (objection, verdict))
    false = np.mean([verdict(a, b) is None for a, b in apart])
    assert found > by_guard + 0.05
    assert false <= 0.02
