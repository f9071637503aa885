from collections import Counter, defaultdict

import pytest

from training.examples import config, example
from tuneloop_trainer.curate.example import Example, normalised
from tuneloop_trainer.curate.split import split


def many(count: int, per_conversation: int = 1, domain: str = "support") -> list[Example]:
    return [example(n, conversation=f"c-{n // per_conversation}", domain=domain) for n in range(count)]


@pytest.mark.parametrize(
    ("rows", "share", "least", "want"),
    [
        pytest.param(100, 0.1, 20, 20, id="at least the minimum"),
        pytest.param(500, 0.1, 20, 50, id="the share of many"),
        pytest.param(30, 0.1, 20, 15, id="never more than half"),
        pytest.param(1, 0.1, 20, 0, id="one row is trained on"),
        pytest.param(50, 0.0, 0, 0, id="none if none is wanted"),
    ],
)
def test_share(rows: int, share: float, least: int, want: int) -> None:
    sides = split(many(rows), config(held_out=share, min_held_out=least))
    assert (len(sides.held_out), len(sides.train)) == (want, rows - want)


def test_a_conversation_and_a_question_are_on_one_side() -> None:
    examples = [
        example(n, f"question {n // 3}", system=f"s{n}", conversation=f"c-{n // 4}", domain="legal" if n % 5 == 0 else "support")
        for n in range(300)
    ]
    sides = split(examples, config(held_out=0.2, min_held_out=10))
    seen: dict[str, set[str]] = defaultdict(set)
    for name, side in (("train", sides.train), ("held out", sides.held_out)):
        for one in side:
            seen[one.conversation].add(name)
            seen[normalised(one.question)].add(name)
    assert all(len(names) == 1 for names in seen.values())
    assert len(sides.held_out) >= 10


def test_each_domain_has_its_share_and_no_more_than_half() -> None:
    examples = [*many(60, 2), *(example(1000 + n, domain="legal") for n in range(25))]
    held = Counter(one.domain for one in split(examples, config(min_held_out=20)).held_out)
    assert held == {"support": 20, "legal": 12}


def test_a_conversation_of_more_than_half_is_trained_on() -> None:
    sides = split([*many(8, 8), example(100)], config(min_held_out=4))
    assert [one.id for one in sides.held_out] == ["i-100"]


def test_the_order_of_arrival_does_not_matter_but_the_seed_does() -> None:
    examples = many(100, 2)
    assert split(examples, config()) == split(list(reversed(examples)), config())
    assert split(examples, config()) != split(examples, config(seed=1))


def test_newer_traffic_moves_no_conversation_from_held_out_to_train_while_the_share_grows() -> None:
    settings = config(held_out=0.2, min_held_out=0)
    before = {one.conversation for one in split(many(100), settings).held_out}
    after = {one.conversation for one in split(many(130), settings).held_out}
    assert len(before & after) >= 0.7 * len(before)
