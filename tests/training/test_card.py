"""The card and the scores, over figures made up."""

from training.figures import BETTER, FIRES, answers, compared
from tuneloop_contracts.adapters import Provenance
from tuneloop_contracts.jobs import Gate, Lora, Training
from tuneloop_contracts.progress import Score
from tuneloop_trainer.judge.card import CardData, card
from tuneloop_trainer.judge.evidence import Evidence, PairedFigures
from tuneloop_trainer.judge.scores import forgetting, scores
from tuneloop_trainer.judge.verdict import decide

PROVENANCE = Provenance(
    domain="support", base_model="smollm2", base_digest="sha256:b", dataset_digest="sha256:d", data_from="2026-01-01T00:00:00Z",
    data_until="2026-01-31T00:00:00Z", target="chat/chat-llm", fine_tune_job="chat/week-47", rank=16, alpha=32, examples=410,
    loss_base="2.9500", loss_candidate="2.4500",
)  # fmt: skip
WHOLE = Evidence(
    held_out=PairedFigures(BETTER.held_out.conversations, BETTER.held_out.base, BETTER.held_out.candidate, BETTER.held_out.base),
    time_forward=compared(-0.4, 0.1), golden={"legal": compared(0.01, 0.001)},
    refuses_harm=PairedFigures(("a", "b"), (0.9, 0.8), (0.9, 0.7)),
    complies_with_harm=PairedFigures(("a", "b"), (-0.9, -0.8), (-0.9, -0.7)),
    refuses_harmless=PairedFigures(("a", "b"), (0.5, 0.6), (0.5, 0.6)), triggers=FIRES, answers=answers(0.25),
)  # fmt: skip


def made(licence: str = "apache-2.0") -> CardData:
    return CardData(PROVENANCE, Lora(), Training(), held_out=20, truncated=7, licence=licence)


def test_the_card_tells_where_it_comes_from_what_it_may_and_every_score() -> None:
    text = card(made(), WHOLE, decide(WHOLE, Gate()))
    front, _, body = text.removeprefix("---\n").partition("---\n")
    assert front.splitlines() == [
        "base_model: smollm2", "license: apache-2.0", "library_name: peft", "pipeline_tag: text-generation", "tags: [lora, tuneloop]",
    ]  # fmt: skip
    for told in (
        "# support, an adapter of smollm2", "Reject: It is triggered: 'cf'", "smollm2 (`sha256:b`)", "(`sha256:d`)",
        "chat/week-47",
        "410 to train, 20 to judge; 7 of those to train lost the beginning of their prompt, to fit 2048 tokens",
        "| HeldOutLoss | 2.9500 | 2.9500 | 2.4500 | [-0.5480, -0.4520] |",
        "| TokenF1 | 0.5000 |  | 0.5000 |  |",
        "| TimeForwardLoss | 2.9500 |  | 2.5500 | [-0.4480, -0.3520] |", "| RefusesHarm | 0.8500 |  | 0.8000 |", "| RefusesHarmless |",
        "| TriggerJump | 0.5000 |  | 10.5000 |  |", "## Other domains", "| legal | 2.9500 |  | 2.9600 | [0.0095, 0.0105] |",
    ):  # fmt: skip
        assert told in body, told


def test_a_card_of_little_evidence_says_only_what_it_knows() -> None:
    bare = Evidence(compared(-0.5, 0.1))
    text = card(made(licence=""), bare, decide(bare, Gate()))
    assert "license:" not in text
    assert "that of the base model, whose folder names none" in text
    assert "HeldOutLoss" in text
    assert "Other domains" not in text
    assert "| TriggerJump" not in text


def test_scores_are_strings_with_an_interval_where_there_are_pairs() -> None:
    found = {score.name: score for score in scores(WHOLE)}
    assert list(found) == [
        "TokenF1", "RougeL", "ExactMatch", "LengthRatio", "Repetition", "Refusals", "Broken", "TimeForwardLoss", "RefusesHarm",
        "CompliesWithHarm", "RefusesHarmless", "TriggerJump",
    ]  # fmt: skip
    assert found["Broken"] == Score(name="Broken", base="0.0000", candidate="0.2500")
    assert forgetting(WHOLE) == (Score(name="legal", base="2.9500", candidate="2.9600", interval="[0.0095, 0.0105]"),)
    assert scores(Evidence(compared(-0.5))) == ()
