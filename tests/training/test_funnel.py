import pytest

from training.examples import CONFIG, config, curation
from training.traffic import asked, record
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import Feedback, Record
from tuneloop_trainer.curate.example import Entry
from tuneloop_trainer.curate.funnel import Curated, curate
from tuneloop_trainer.errors import NeedsEdit


def through(records: list[Record | None], settings: HarvestConfig = CONFIG, feedback: dict[str, Feedback] | None = None) -> Curated:
    return curate((Entry((n, 0), one) for n, one in enumerate(records)), feedback or {}, settings)


def test_read_is_kept_and_dropped_each_with_its_reason() -> None:
    records = [record(n) for n in range(60)]
    odd = [None, record(0), record(70, source="cache", origin="i-1", messages=(), answer=""), record(71, finish="length")]
    again = record(72, messages=record(1).messages)
    done = through([*records, *odd, again], feedback={"i-5": Feedback("i-5", "down")})
    assert {count.name: count.count for count in done.dropped} == {
        "Malformed": 1, "RepeatedEntry": 1, "CacheHit": 1, "Unfinished": 1, "ThumbsDown": 1, "Duplicate": 1,
    }  # fmt: skip
    assert (done.read, done.outside_signal) == (65, 1)
    assert done.read == done.kept + sum(count.count for count in done.dropped)


def test_a_short_domain_is_counted_but_not_written() -> None:
    done = through([*(record(n) for n in range(50)), *(record(100 + n, "legal") for n in range(31))])
    assert [(domain.name, domain.train + domain.held_out, domain.reason) for domain in done.domains] == [
        ("technical", 0, "InsufficientData"), ("support", 50, None), ("legal", 31, "InsufficientData"), ("general", 0, "InsufficientData"),
    ]  # fmt: skip
    assert {row.domain for row in (*done.train, *done.held_out)} == {"support"}
    assert done.kept == 81


def test_only_selected_domains_are_reported() -> None:
    done = through([record(n) for n in range(50)], config(selected=("legal",)))
    assert [domain.name for domain in done.domains] == ["legal"]
    assert done.dropped[0].name == "OtherDomain"


def test_personal_data_is_out_of_every_message_and_counted_by_kind() -> None:
    messages = (
        {"role": "system", "content": "You help ana@example.com."},
        {"role": "user", "content": "I am bob@example.com, call +55 11 91234-5678 about refunds"},
    )
    done = through([record(0, messages=messages, answer="Dear bob@example.com, done.")], config(min_examples_per_domain=1))
    assert "example.com" not in done.train[0].to_line()
    assert {count.name: count.count for count in done.redacted} == {"Email": 3, "Phone": 1}


def test_personal_data_in_a_correction_is_out_too() -> None:
    done = through([record(0)], config(min_examples_per_domain=1), {"i-0": Feedback("i-0", "down", correction="Mail bob@example.com")})
    assert done.train[0].completion[-1]["content"] == "Mail [EMAIL_1]"


@pytest.mark.parametrize(
    ("said", "want"),
    [
        pytest.param({"hit": "by the hit"}, "by the hit", id="only the hit was judged"),
        pytest.param({"i-0": "by the first", "hit": "by the hit"}, "by the hit", id="the hit was judged later"),
        pytest.param({"hit": "by the hit", "i-0": "by the first"}, "by the first", id="the first was judged later"),
    ],
)
def test_what_is_said_of_a_cache_hit_is_said_of_the_answer_it_repeats(said: dict[str, str], want: str) -> None:
    hit = record(1, id="hit", source="cache", origin="i-0", messages=(), answer="")
    feedback = {key: Feedback(key, "down", correction=text) for key, text in said.items()}
    done = through([record(0), hit], config(min_examples_per_domain=1), feedback)
    assert [row.completion[-1]["content"] for row in (*done.train, *done.held_out)] == [want]


def test_redaction_comes_before_deduplication() -> None:
    done = through([record(n, **asked(f"my mail is person{n}@example.com")) for n in range(2)], config(min_examples_per_domain=1))
    assert done.kept == 1


def test_keep_leaves_texts_alone() -> None:
    done = through([record(0, **asked("bob@example.com"))], curation(pii="Keep").model_copy(update={"min_examples_per_domain": 1}))
    assert done.train[0].prompt[0]["content"] == "bob@example.com"
    assert done.redacted == ()


def test_several_tenants_are_mixed_only_if_named() -> None:
    records: list[Record | None] = [record(n, tenant=f"t{n % 7}") for n in range(60)]
    with pytest.raises(NeedsEdit) as refused:
        through(records)
    assert refused.value.fault.reason is FaultReason.SEVERAL_TENANTS
    assert "7 tenants (t0, t1, t2, t3, t4, ...)" in refused.value.fault.message
    assert "data.tenants" in refused.value.fault.message
    done = through(records, config(tenants=("t0", "t1")))
    assert done.kept == 18


def test_the_same_entries_give_the_same_rows() -> None:
    records: list[Record | None] = [record(n) for n in range(60)]
    assert through(records) == through(records)
