from collections import Counter
from dataclasses import replace
from pathlib import Path

from transformers import AutoTokenizer

from training.lessons import dataset, job, row
from tuneloop_contracts.dataset import DomainCounts
from tuneloop_trainer.folds import fold_of
from tuneloop_trainer.learn.domain import encoded_by_domain


def test_a_conversation_keeps_its_fold_and_the_folds_share_alike() -> None:
    """The first three are pinned: a change of the function would mix what was trained with what is judged."""
    assert [fold_of(f"c-{n}", 5) for n in range(3)] == [0, 1, 3]
    shares = Counter(fold_of(f"c-{n}", 5) for n in range(1000))
    assert sorted(shares) == [0, 1, 2, 3, 4]
    assert min(shares.values()) > 150


def test_a_question_is_in_one_fold_in_whatever_words_and_conversations(smollm2: Path, tmp_path: Path) -> None:
    """As it may be asked several times where `curation.nearDuplicates` is off."""
    question = "Where is the refund for the order that I sent back last week?"
    asked = [f"{question}{' Please.' * (n % 2)}" for n in range(6)] + [f"What of number {n}?" for n in range(6)]
    rows = [replace(row(n, "support", "Yes."), prompt=({"role": "user", "content": text},)) for n, text in enumerate(asked)]
    data = dataset(tmp_path / "data", (rows, []))
    counts = (DomainCounts(name="support", train=12, held_out=0, folds=3),)
    settings = job(tmp_path, tmp_path, data.model_copy(update={"domains": counts}))
    train, _ = encoded_by_domain((rows, []), settings, AutoTokenizer.from_pretrained(smollm2))["support"]
    assert [one.id for one in train] == [one.id for one in rows]
    assert len({fold_of(one.conversation, 3) for one in train[:6]}) == 1
    assert [one.conversation for one in train[6:]] == [one.conversation for one in rows[6:]]
