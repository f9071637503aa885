"""What is learned and what judges it share no conversation and no question, whatever the traffic."""

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.examples import config, example
from training.traffic import WORDS
from tuneloop_trainer.curate.example import Example
from tuneloop_trainer.curate.similarity import SAME_QUESTION, question_of
from tuneloop_trainer.curate.split import FOLDS, Overlap, Split, refuse_overlap, split
from tuneloop_trainer.curate.thread import Thread, threads
from tuneloop_trainer.curate.ties import sizes

SIDES = ("train", "held_out", "time_forward")


def words(number: int) -> str:
    """Four of them in an order that no other number has."""
    return " ".join(f"{WORDS[(number // 20**place) % 20]}{number % 7}" for place in range(4))


def many(count: int, per_conversation: int = 1, domain: str = "support", **changes: object) -> list[Thread]:
    return threads(
        example(
            n,
            f"{words(n)} {n} {domain}",
            id=f"{domain}-i-{n}",
            conversation=f"{domain}-{n // per_conversation}",
            domain=domain,
            **{"user": "", **changes},
        )
        for n in range(count)
    )


def counts(sides: Split) -> tuple[int, int, int]:
    return tuple(sum(len(thread.turns) for thread in getattr(sides, name)) for name in SIDES)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("rows", "share", "least", "want"),
    [
        pytest.param(100, 0.1, 20, (70, 20, 10), id="at least the minimum, and the newest tenth"),
        pytest.param(500, 0.1, 20, (400, 50, 50), id="the share of many"),
        pytest.param(50, 0.1, 20, (25, 20, 5), id="never more than half"),
        pytest.param(40, 0.1, 20, (20, 20, 0), id="the newest come last"),
        pytest.param(39, 0.1, 20, (39, 0, 0), id="all of too few"),
        pytest.param(1, 0.1, 20, (1, 0, 0), id="one row is trained on"),
        pytest.param(50, 0.0, 0, (50, 0, 0), id="none if none is wanted"),
    ],
)
def test_share(rows: int, share: float, least: int, want: tuple[int, int, int]) -> None:
    assert counts(split(many(rows), config(held_out=share, min_held_out=least))) == want


def test_a_domain_too_small_to_hold_any_out_is_judged_by_folds() -> None:
    sides = split([*many(30), *many(100, domain="legal")], config(min_held_out=20))
    assert dict(sides.folds) == {"support": FOLDS}
    assert sizes(sides.train)["support"] == 30
    assert sizes(sides.held_out) == {"legal": 20}


def test_what_is_tied_to_a_domain_of_folds_is_trained_on() -> None:
    small = threads([example(9000 + n, f"{words(n)} {n} support", domain="legal", conversation=f"legal-{n}", user="") for n in range(10)])
    sides = split([*many(100), *small], config(min_held_out=20))
    assert sizes(sides.train)["legal"] == 10
    assert not {f"support-i-{n}" for n in range(10)} & {thread.last.id for thread in sides.held_out}


def test_the_newest_conversations_go_forward() -> None:
    sides = split(many(100, 2), config(min_held_out=20))
    kept = [thread for thread in many(100, 2) if thread not in sides.held_out]
    assert sides.time_forward == tuple(sorted(kept, key=lambda thread: thread.began)[-10:])
    assert all(old.began < new.began for old in sides.train for new in sides.time_forward)


def test_a_conversation_that_began_long_ago_is_not_the_newest() -> None:
    old = example(9999, "what was that again about the thing", conversation="support-0", user="")
    sides = split([*many(100, 2), *threads([old])], config(min_held_out=20))
    assert old.id not in {thread.last.id for thread in sides.time_forward}


def test_each_domain_has_its_share() -> None:
    sides = split([*many(60, 2), *many(50, domain="legal")], config(min_held_out=20))
    assert sizes(sides.held_out) == {"support": 20, "legal": 20}


def test_a_conversation_of_more_than_half_is_trained_on() -> None:
    rows = many(20, 20) + threads([example(100 + n, words(500 + n), conversation=f"single-{n}", user="") for n in range(8)])
    sides = split(rows, config(held_out=0.2, min_held_out=4))
    assert {thread.last.talk for thread in sides.held_out} <= {f"single-{n}" for n in range(8)}
    assert len(sides.held_out) >= 4


def test_a_user_is_on_one_side_of_train_and_held_out() -> None:
    rows = threads(
        example(n, f"{words(n)} {n}", conversation=f"c-{n}", user=f"u-{n // 3}") for n in range(180)
    )  # fmt: skip
    sides = split(rows, config(min_held_out=20))
    learned, judging = ({turn.user for thread in side for turn in thread.turns} for side in (sides.train, sides.held_out))
    assert judging
    assert not learned & judging


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_one_heavy_user_does_not_make_the_split_impossible(share: float) -> None:
    rows = threads(example(n, f"{words(n)} {n}", conversation=f"c-{n}", user="heavy" if n < share * 200 else f"u-{n}") for n in range(200))
    assert counts(split(rows, config(min_held_out=20))) == (160, 20, 20)


def test_the_order_of_arrival_does_not_matter_but_the_seed_does() -> None:
    rows = many(100, 2)
    assert split(rows, config()) == split(list(reversed(rows)), config())
    assert split(rows, config()) != split(rows, config(seed=1))


def test_newer_traffic_moves_no_conversation_from_held_out_to_train_while_the_share_grows() -> None:
    wanted = config(held_out=0.2, min_held_out=0)
    before = {thread.last.talk for thread in split(many(100), wanted).held_out}
    after = {thread.last.talk for thread in split(many(130), wanted).held_out}
    assert len(before & after) >= 0.7 * len(before)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        pytest.param({"conversation": "c-1"}, "a conversation", id="a conversation"),
        pytest.param({"messages": ({"role": "user", "content": "Where is my order NOW?"},)}, "a question", id="a question"),
        pytest.param({"messages": ({"role": "user", "content": "Where is my order NOW?"},), "domain": "legal"}, "a question",
                     id="a question of another domain"),
    ],
)  # fmt: skip
def test_an_overlap_is_refused(changes: dict[str, object], what: str) -> None:
    one, other = threads([example(1, "where is my order now")]), threads([example(2, "another thing", **changes)])
    with pytest.raises(Overlap, match=what):
        refuse_overlap(Split(tuple(one), tuple(other), ()))
    with pytest.raises(Overlap, match=what):
        refuse_overlap(Split((), tuple(one), tuple(other)))


drawn = st.tuples(st.integers(0, 12), st.integers(0, 5), st.integers(0, 9), st.integers(0, 2), st.sampled_from(["support", "legal"]))


def of(number: int, conversation: int, user: int, question: int, variant: int, domain: str) -> Example:
    """Variants of a question are near duplicates of it."""
    text = " ".join(f"{words(question)} part{part}" for part in range(4)) + " please" * variant
    return example(number, text, conversation=f"c-{conversation}", user=f"u-{user}" if user else "", domain=domain)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(drawn, min_size=1, max_size=60), st.sampled_from([0.05, 0.1, 0.3, 0.5]), st.integers(0, 10))
def test_no_two_sides_overlap_and_nothing_is_lost(traffic: list[tuple[int, int, int, int, str]], share: float, least: int) -> None:
    examples = [of(n, *one) for n, one in enumerate(traffic)]
    sides = split(threads(examples), config(held_out=share, min_held_out=least))
    turns = {name: [turn for thread in getattr(sides, name) for turn in thread.turns] for name in SIDES}
    assert sorted(turn.id for side in turns.values() for turn in side) == sorted(one.id for one in examples)
    for one, other in combinations(SIDES, 2):
        assert not {turn.talk for turn in turns[one]} & {turn.talk for turn in turns[other]}
        assert not any(
            question_of(a.messages).like(question_of(b.messages), SAME_QUESTION) for a in turns[one] for b in turns[other]
        )  # fmt: skip
    every = Counter(one.domain for one in examples)
    for domain, count in every.items():
        assert sum(turn.domain == domain for turn in (*turns["held_out"], *turns["time_forward"])) <= count / 2
