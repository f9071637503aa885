import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.examples import CONFIG, config, curation, example
from tuneloop_trainer.curate.distinct import (
    SetRule,
    within_corrector_cap,
    within_domain_cap,
    within_user_cap,
    without_duplicates,
    without_near_duplicates,
)
from tuneloop_trainer.curate.example import Example, Judgement
from tuneloop_trainer.curate.similarity import shingles


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


def after(number: int, *said: str) -> Example:
    """The last of several questions of one talk."""
    messages = [{"role": role, "content": text} for one in said for role, text in (("user", one), ("assistant", "Yes."))]
    return example(number, messages=tuple(messages[:-1]))


@pytest.mark.parametrize(
    "rule", [pytest.param(without_duplicates, id="duplicates"), pytest.param(without_near_duplicates, id="near duplicates")]
)
@pytest.mark.parametrize(
    ("talks", "want"),
    [
        pytest.param([("Where is it?", "And then?"), ("Where is it?", "And then?")], {"i-1"}, id="the same talk"),
        pytest.param([("Where is it?", "And then?"), ("Who are you?", "And then?")], {"i-0", "i-1"}, id="a follow-up to something else"),
        pytest.param([(LONG, "And then?"), (LONG, "Why?")], {"i-0", "i-1"}, id="another follow-up to the same"),
        pytest.param([(LONG,), (LONG, LONG)], {"i-0", "i-1"}, id="a turn and the one that it follows"),
    ],
)
def test_a_question_is_one_with_what_was_said_before_it(rule: SetRule, talks: list[tuple[str, ...]], want: set[str]) -> None:
    assert ids(rule([after(n, *said) for n, said in enumerate(talks)], CONFIG)) == want


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


def test_corrector_cap_keeps_the_newest_that_one_person_corrected_whoever_asked() -> None:
    corrected = [example(n, judgement=Judgement.CORRECTED, by="b") for n in range(4)]
    liked = [example(10 + n, judgement=Judgement.LIKED, by="b") for n in range(3)]
    unknown = [example(20 + n, judgement=Judgement.CORRECTED) for n in range(3)]
    kept = ids(within_corrector_cap([*corrected, *liked, *unknown], curation(max_per_user=2)))
    assert kept == {"i-2", "i-3", "i-10", "i-11", "i-12", "i-20", "i-21", "i-22"}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from(Judgement)), max_size=40), st.integers(0, 40))
def test_rules_may_be_given_what_they_kept_with_older_ones(drawn: list[tuple[int, int, Judgement]], cut: int) -> None:
    """All rules but the near duplicates', where who was dropped for whom may differ."""
    settings_ = curation(max_per_user=2).model_copy(update={"max_examples_per_domain": 5})
    examples = [example(100 - n, f"q{question}", user=f"u{user}", by=f"b{user}", judgement=judged)
                for n, (user, question, judged) in enumerate(drawn)]  # fmt: skip
    for rule in (without_duplicates, within_user_cap, within_corrector_cap, within_domain_cap):
        assert ids(rule([*rule(examples[:cut], settings_), *examples[cut:]], settings_)) == ids(rule(examples, settings_))


def test_domain_cap_keeps_the_newest_of_each_domain() -> None:
    examples = [example(1, judgement=Judgement.LIKED), example(2), example(3), example(4, domain="legal")]
    assert ids(within_domain_cap(examples, config(max_examples_per_domain=2))) == {"i-2", "i-3", "i-4"}


def test_five_thousand_rows_of_a_domain_are_compared_in_time() -> None:
    examples = [example(n, f"please tell me about the item number {n} that I saw in the shop {n % 50} today") for n in range(5000)]
    assert len(without_near_duplicates(examples, curation(near_duplicates=0.8))) > 0
