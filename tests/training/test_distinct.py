import pytest

from training.examples import CONFIG, config, curation, example
from tuneloop_trainer.curate.distinct import shingles, within_domain_cap, within_user_cap, without_duplicates, without_near_duplicates
from tuneloop_trainer.curate.example import Example, Judgement


def ids(examples: list[Example]) -> set[str]:
    return {kept.id for kept in examples}


@pytest.mark.parametrize(
    ("examples", "want"),
    [
        pytest.param([example(1, "Why?"), example(2, "why ")], {"i-2"}, id="the newest good answer, not the first"),
        pytest.param([example(1, "Why?", judgement=Judgement.LIKED), example(2, "Why?")], {"i-1"}, id="a liked one before a newer"),
        pytest.param(
            [example(1, "Why?", judgement=Judgement.CORRECTED), example(2, "Why?", judgement=Judgement.LIKED)],
            {"i-1"},
            id="a corrected one before a liked",
        ),
        pytest.param([example(1, "Why?"), example(2, "Why?", domain="legal")], {"i-1", "i-2"}, id="another domain is another question"),
        pytest.param([example(1, "Why?"), example(2, "Why?", system="Be brief.")], {"i-1", "i-2"}, id="so is another system prompt"),
        pytest.param([example(1, "Where  is\nmy ORDER!"), example(2, "where is my order")], {"i-2"}, id="case and spacing do not matter"),
    ],
)
def test_duplicates(examples: list[Example], want: set[str]) -> None:
    assert ids(without_duplicates(examples, CONFIG)) == want


LONG = "how do I get a refund for the order that I placed last week on your web site"


@pytest.mark.parametrize(
    ("other", "threshold", "want"),
    [
        pytest.param(LONG + " please", 0.8, {"i-2"}, id="one word more"),
        pytest.param(LONG + " please", 1.0, {"i-1", "i-2"}, id="1 turns it off"),
        pytest.param("how do I return an order that I placed last week", 0.8, {"i-1", "i-2"}, id="another question"),
        pytest.param("refund", 0.8, {"i-1", "i-2"}, id="a single word"),
    ],
)
def test_near_duplicates(other: str, threshold: float, want: set[str]) -> None:
    assert ids(without_near_duplicates([example(1, LONG), example(2, other)], curation(near_duplicates=threshold))) == want


def test_near_duplicates_of_another_domain_stay() -> None:
    assert len(without_near_duplicates([example(1, LONG), example(2, LONG, domain="legal")], curation(near_duplicates=0.5))) == 2


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9])
def test_near_duplicates_are_those_that_comparing_all_pairs_finds(threshold: float) -> None:
    questions = [" ".join(f"w{(n * step) % 7}" for step in range(1, 9 + n % 4)) + f" tail{n % 5}" for n in range(60)]
    examples = [example(n, question) for n, question in enumerate(questions)]
    kept: list[Example] = []
    for one in sorted(examples, key=lambda one: one.at, reverse=True):
        sets = [(shingles(one.question), shingles(other.question)) for other in kept]
        if not any(len(a & b) / len(a | b) >= threshold for a, b in sets):
            kept.append(one)
    assert ids(without_near_duplicates(examples, curation(near_duplicates=threshold))) == ids(kept)


def test_user_cap_keeps_the_best_of_a_user_in_a_domain_and_all_of_the_anonymous() -> None:
    of_one = [example(n, user="u", judgement=Judgement.LIKED if n == 0 else Judgement.NONE) for n in range(4)]
    elsewhere = [example(10, user="u", domain="legal")]
    anonymous = [example(20 + n, user="") for n in range(4)]
    assert ids(within_user_cap([*of_one, *elsewhere, *anonymous], curation(max_per_user=2))) == {
        "i-0", "i-3", "i-10", "i-20", "i-21", "i-22", "i-23",
    }  # fmt: skip


def test_domain_cap_keeps_the_newest_of_each_domain() -> None:
    examples = [example(1, judgement=Judgement.LIKED), example(2), example(3), example(4, domain="legal")]
    assert ids(within_domain_cap(examples, config(max_examples_per_domain=2))) == {"i-2", "i-3", "i-4"}


def test_five_thousand_rows_of_a_domain_are_compared_in_time() -> None:
    examples = [example(n, f"please tell me about the item number {n} that I saw in the shop {n % 50} today") for n in range(5000)]
    assert len(without_near_duplicates(examples, curation(near_duplicates=0.8))) > 0
