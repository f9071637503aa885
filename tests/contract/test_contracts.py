"""The values that cross images: each survives its own wire, and each refuses what is not its own."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from tuneloop_contracts.adapters import CONFIG_FILE, PROVENANCE_FILE, WEIGHTS_FILE, adapter_digest
from tuneloop_contracts.base import base_digest
from tuneloop_contracts.dataset import Count, Dataset, DomainCounts
from tuneloop_contracts.domains import DEFAULT_DOMAINS, Domain, Keywords, classify
from tuneloop_contracts.names import revision_name, revision_number
from tuneloop_contracts.packing import MARK, pack, unpack
from tuneloop_contracts.progress import TERMINATION_LIMIT, Fault, FaultReason, Losses, ProgressBody, Report, Score, TrainedAdapter, Verdict
from tuneloop_contracts.record import COMPACT, Feedback, Record, days_between, record_stream
from tuneloop_contracts.stores import BadUri, Store

RECORD = Record(
    id="i1", conversation="c1", user="u1", tenant="acme", model="auto", revision="base", domain="support", tagged=True, source="gen",
    finish="stop", milliseconds=812, prompt_tokens=20, completion_tokens=7,
    messages=({"role": "user", "content": "Onde está a fatura? 🧾"},), answer="No portal.\nAbra «Contas».",
)  # fmt: skip
HIT = Record(
    id="i2", conversation="c1", user="u1", tenant="acme", model="auto", revision="base", domain="support", tagged=False, source="cache",
    finish="stop", milliseconds=1, prompt_tokens=20, completion_tokens=7, messages=RECORD.messages, answer=RECORD.answer, origin="i1",
)  # fmt: skip


def test_a_record_is_written_in_one_field() -> None:
    (field, text), *others = RECORD.to_fields().items()
    assert (field, others) == (COMPACT, [])
    short = ["i1", "c1", "u1", "acme", "auto", "base", "support", True, "gen", "stop", 812, 20, 7]
    assert json.loads(text) == [*short, [*RECORD.messages], RECORD.answer, ""]


def test_a_cache_hit_is_written_without_text() -> None:
    assert json.loads(HIT.to_fields()[COMPACT])[-3:] == [[], "", "i1"]


def test_feedback_survives_redis() -> None:
    said = Feedback("i1", "down", "The portal, under «Contas».", "u9")
    assert Feedback.from_fields(said.to_fields()) == said


def test_streams_are_named_by_utc_day() -> None:
    assert record_stream("chat/llm", 0, date(2026, 11, 3)) == "tuneloop:{chat/llm:0}:rec:20261103"
    evening, morning = datetime(2026, 11, 3, 23, 59, tzinfo=UTC), datetime(2026, 11, 5, 0, 0, tzinfo=UTC)
    assert days_between(evening, morning) == [date(2026, 11, 3), date(2026, 11, 4), date(2026, 11, 5)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("Why does my Python function raise an exception?", "technical", id="technical"),
        pytest.param("Quero o REEMBOLSO da última fatura, por favor", "support", id="Portuguese, upper case"),
        pytest.param("A cobranca veio errada", "support", id="accents left out"),
        pytest.param("Is this clause of the contract valid in court?", "legal", id="legal"),
        pytest.param("Who painted the Mona Lisa?", "general", id="no keyword"),
        pytest.param("manufatura de peças", "general", id="a keyword inside a word does not count"),
        pytest.param("See https://api.github.com/python", "general", id="an address has no keywords"),
        pytest.param("", "general", id="empty"),
    ],
)
def test_default_domains(text: str, want: str) -> None:
    assert classify(text, DEFAULT_DOMAINS) == want


def test_without_a_general_domain_a_text_may_belong_to_none() -> None:
    assert classify("Who painted the Mona Lisa?", [Domain(name="support", keywords=("refund",))]) == ""


def test_keywords_may_be_of_any_alphabet_and_signs_alone_claim_nothing() -> None:
    domains = [Domain(name="support", keywords=("возврат", "??")), Domain(name="general")]
    assert classify("Где мой ВОЗВРАТ?", domains) == "support"
    assert [classify(text, domains) for text in ("Где почта?", "", "你好")] == ["general"] * 3
    assert Keywords(domains).found_in("возврат") == {"support": ["возврат"]}
    assert Keywords(domains).found_in("") == {}


def test_examples_count_at_half_weight() -> None:
    domains = [Domain(name="a", examples=("my parcel never arrived",)), Domain(name="b", keywords=("parcel",))]
    assert classify("where is the parcel", domains) == "b"
    assert classify("it never arrived", domains) == "a"


@pytest.mark.parametrize("name", ["Support", "-x", "x" * 41, "a.b", ""])
def test_a_domain_is_a_dns_label(name: str) -> None:
    with pytest.raises(ValidationError):
        Domain(name=name)


def test_revision_names() -> None:
    name = revision_name("it-support", 12, "sha256:1a2b3c4d5e6f")
    assert name == "it-support-v12-1a2b3c4d"
    assert revision_number(name) == 12
    assert revision_number("base") == 0


@pytest.mark.parametrize(
    ("uri", "claim", "location"),
    [
        pytest.param("pvc://artifacts/chat", "artifacts", "/var/lib/tuneloop/stores/artifacts/chat", id="pvc"),
        pytest.param("file:///srv/adapters", "", "/srv/adapters", id="file"),
        pytest.param("s3://bucket/chat", "", "s3://bucket/chat", id="s3"),
    ],
)
def test_stores(uri: str, claim: str, location: str) -> None:
    assert (Store(uri).claim, Store(uri).location) == (claim, location)


@pytest.mark.parametrize(
    "uri", ["", "chat", "http://x/y", "pvc://", "pvc://claim/../other", "file://relative", "file:///a/../b", "s3://b/$(x)"]
)
def test_a_bad_uri_is_named(uri: str) -> None:
    with pytest.raises(BadUri, match="pvc://claim/path"):
        Store(uri)


def test_an_adapter_digest_covers_what_is_loaded(tmp_path: Path) -> None:
    for name in (CONFIG_FILE, WEIGHTS_FILE, PROVENANCE_FILE):
        (tmp_path / name).write_text(name)
    first = adapter_digest(tmp_path)
    (tmp_path / "README.md").write_text("a card may be mended")
    assert adapter_digest(tmp_path) == first
    (tmp_path / PROVENANCE_FILE).write_text("another base")
    assert adapter_digest(tmp_path) != first


def test_a_base_digest_needs_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="safetensors"):
        base_digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"1")
    first = base_digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert base_digest(tmp_path) != first


def adapter(number: int) -> TrainedAdapter:
    losses = Losses(base="2.4100", candidate="1.8800")
    uri, digest = f"s3://a-rather-long-bucket-name/chat/domain-{number}/sha256-{'0' * 64}", f"sha256:{number:064d}"
    return TrainedAdapter(domain=f"domain-{number}", digest=digest, uri=uri, loss=losses, verdict=Verdict.PROMOTE, reason="because " * 20)


def test_a_termination_message_fits_and_keeps_digests_and_verdicts() -> None:
    counts = tuple(DomainCounts(name=f"domain-{n}", train=100, held_out=20) for n in range(8))
    dropped = tuple(Count(name=f"Reason{n}", count=n) for n in range(40))
    dataset = Dataset(uri="u", digest="d", from_="a", to="b", read=9, kept=8, dropped=dropped, domains=counts)
    whole = Report(dataset=dataset, adapters=tuple(adapter(n) for n in range(8)), seconds={"train": 12.5})
    text = whole.to_termination_message()
    assert len(text.encode()) <= TERMINATION_LIMIT
    kept = Report.from_termination_message(text)
    assert [(a.domain, a.digest, a.verdict) for a in kept.adapters] == [(a.domain, a.digest, a.verdict) for a in whole.adapters]
    assert kept.dataset is not None
    assert kept.dataset.domains == counts


def numbers(seed: int) -> Iterator[str]:
    drawn = random.Random(seed)
    while True:
        yield f"{drawn.random():.4f}"


def test_a_termination_message_gives_up_scores_before_it_gives_up_forgetting_and_reasons() -> None:
    drawn = numbers(1)
    scores = tuple(Score(name=f"Figure{n}", base=next(drawn), serving=next(drawn), candidate=next(drawn)) for n in range(400))
    told = tuple(adapter(n).model_copy(update={"scores": scores, "forgetting": scores[:2], "reason": "Better."}) for n in range(4))
    text = Report(adapters=told).to_termination_message()
    assert len(text.encode()) <= TERMINATION_LIMIT
    kept = Report.from_termination_message(text)
    assert kept.cut
    assert [(one.scores, one.forgetting, one.reason) for one in kept.adapters] == [((), scores[:2], "Better.")] * 4


WORDS = ("billing", "refunds", "contracts", "kubernetes", "delivery", "warranty", "returns", "passwords", "network", "payroll", "travel")


def long_named(number: int) -> TrainedAdapter:
    """Words as people take them, to the longest that a domain's name may be; whatever else it says is random."""
    drawn, figures = random.Random(number), numbers(number)
    name = "-".join(drawn.choice(WORDS) for _ in range(8))[:37] + f"-{number:02}"
    digest = drawn.randbytes(32).hex()
    scores = tuple(Score(name=f"Figure{n}", base=next(figures), serving=next(figures), candidate=next(figures)) for n in range(12))
    return TrainedAdapter(
        domain=name, digest=f"sha256:{digest}", uri=f"s3://a-rather-long-bucket-name/chat/{name}/sha256-{digest}",
        loss=Losses(base=next(figures), serving=next(figures), candidate=next(figures)), interval=f"[-{next(figures)}, {next(figures)}]",
        scores=scores, forgetting=scores * 4, verdict=drawn.choice(list(Verdict)), examples=drawn.randrange(5000), reason="because " * 20,
    )  # fmt: skip


def test_a_termination_message_holds_fifty_domains_of_the_longest_names() -> None:
    adapters = tuple(long_named(n) for n in range(50))
    assert {len(one.domain) for one in adapters} == {40}
    counts = tuple(DomainCounts(name=one.domain, train=one.examples, held_out=20) for one in adapters)
    dataset = Dataset(uri="u", digest="d", from_="a", to="b", read=9, kept=8, domains=counts)
    text = Report(dataset=dataset, adapters=adapters).to_termination_message()
    assert len(text.encode()) <= TERMINATION_LIMIT
    kept = Report.from_termination_message(text)
    assert [(a.domain, a.digest, a.uri, a.verdict) for a in kept.adapters] == [(a.domain, a.digest, a.uri, a.verdict) for a in adapters]
    assert kept.cut
    harvested = Report(dataset=dataset)
    assert Report.from_termination_message(harvested.to_termination_message()) == harvested


def test_what_has_no_room_in_a_termination_message_at_all_is_said() -> None:
    drawn = random.Random(7)
    adapters = tuple(long_named(n).model_copy(update={"domain": drawn.randbytes(20).hex()}) for n in range(200))
    text = Report(adapters=adapters).to_termination_message()
    assert Report.from_termination_message(text) == Report(cut=True)
    fault = Fault(reason=FaultReason.INTERNAL, message=drawn.randbytes(9000).hex())
    kept = Report.from_termination_message(Report(fault=fault).to_termination_message())
    assert kept.fault == Fault(reason=FaultReason.INTERNAL, message=fault.message[:500])


def test_a_packed_text_is_given_back_or_refused() -> None:
    digests = ["1" * 64, "ab" * 32]
    text = json.dumps([digests[0], digests[0], digests[1], digests[0], "f" * 100, "é\0\1"])
    assert unpack(pack(text)) == text
    assert unpack(text) == text
    for cut in range(1, len(pack(text)) - len(MARK)):
        with pytest.raises(ValueError, match=r".+"):
            unpack(pack(text)[:-cut])


def test_a_small_report_is_kept_whole() -> None:
    whole = Report(adapters=(adapter(1),), seconds={"train": 12.5})
    assert Report.from_termination_message(whole.to_termination_message()) == whole


def test_progress_is_read_as_transformers_sends_it() -> None:
    sent = {
        "trainerStatus": {
            "lastUpdatedTime": "2026-11-03T10:00:00+00:00",
            "progressPercentage": 43,
            "estimatedRemainingSeconds": 212,
            "metrics": [{"name": "loss", "value": "1.83"}, {"name": "total_steps", "value": "40"}],
        }
    }
    body = ProgressBody.model_validate(sent)
    assert (body.trainer_status.progress_percentage, body.metric("loss"), body.metric("stage")) == (43, "1.83", None)
