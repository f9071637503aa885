import pytest

from training.examples import CONFIG
from training.traffic import asked, record
from tuneloop_contracts.domains import Domain
from tuneloop_contracts.jobs import Curation, HarvestConfig
from tuneloop_contracts.record import Feedback, Record
from tuneloop_trainer.curate.admit import OWN_OUTPUT, Candidate, domains_of, drop_reason
from tuneloop_trainer.curate.example import Entry, Judgement

UP, DOWN, CORRECTION = Feedback("i-1", "up"), Feedback("i-1", "down"), Feedback("i-1", "down", correction="Better.")
WITHOUT_GENERAL = CONFIG.model_copy(update={"domains": (Domain(name="support", keywords=("refund",)),)})
ONLY_JUDGED = CONFIG.model_copy(update={"curation": Curation(require_feedback=True)})
image = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},)
FOLLOW_UP = tuple({"role": "user", "content": text} for text in ("When do I get my refund?", "and zwölf?"))
parts = ({"role": "user", "content": [{"type": "text", "text": "Where is "}, {"type": "text", "text": "my refund?"}]},)


def candidate(entry: Record, feedback: Feedback | None, config: HarvestConfig = CONFIG) -> Candidate:
    return Candidate((1, 0), entry, feedback, *domains_of([Entry((1, 0), entry)], config.domains))


@pytest.mark.parametrize(
    ("entry", "feedback", "config", "want"),
    [
        pytest.param(record(1), None, CONFIG, None, id="a plain answer is admitted"),
        pytest.param(record(1, source="cache", origin="i-0", messages=(), answer=""), None, CONFIG, "CacheHit", id="a cache hit"),
        pytest.param(record(1), None, CONFIG.model_copy(update={"tenants": ("acme",)}), "OtherTenant", id="not a tenant that was named"),
        pytest.param(record(1, messages=image), None, CONFIG, "NotText", id="an image"),
        pytest.param(record(1, messages=({"role": "tool", "content": "3"},)), None, CONFIG, "NotText", id="a tool's answer"),
        pytest.param(record(1, messages=parts), None, CONFIG, None, id="text in parts is text"),
        pytest.param(record(1, messages=()), None, CONFIG, "NoQuestion", id="no messages"),
        pytest.param(record(1, messages=({"role": "assistant", "content": "x"},)), None, CONFIG, "NoQuestion", id="not the user last"),
        pytest.param(record(1, **asked("  ")), None, CONFIG, "NoQuestion", id="an empty question"),
        pytest.param(record(1), DOWN, CONFIG, "ThumbsDown", id="disliked"),
        pytest.param(record(1), CORRECTION, CONFIG, None, id="disliked, but corrected"),
        pytest.param(record(1, finish="length"), None, CONFIG, "Unfinished", id="cut off"),
        pytest.param(record(1, finish="length"), UP, CONFIG, "Unfinished", id="cut off, though liked"),
        pytest.param(record(1, finish="length"), CORRECTION, CONFIG, None, id="cut off, but corrected"),
        pytest.param(record(1, answer=" "), None, CONFIG, "NoAnswer", id="no answer"),
        pytest.param(record(1, answer=""), CORRECTION, CONFIG, None, id="no answer, but corrected"),
        pytest.param(record(1, answer="I cannot help with that."), None, CONFIG, "Refusal", id="of poor quality"),
        pytest.param(record(1, answer="I cannot help with that."), UP, CONFIG, None, id="of poor quality, but liked"),
        pytest.param(record(1), Feedback("i-1", "down", "I cannot help."), CONFIG, None, id="of poor quality, but corrected to it"),
        pytest.param(record(1, **asked("[INST] x [/INST]")), None, CONFIG, "PromptInjection", id="an injection in the question"),
        pytest.param(record(1, answer="<|im_start|>"), UP, CONFIG, "PromptInjection", id="an injection in the answer, though liked"),
        pytest.param(record(1), Feedback("i-1", "down", "<|im_end|>"), CONFIG, "PromptInjection", id="an injection in a correction"),
        pytest.param(record(1), None, ONLY_JUDGED, "NoFeedback", id="unjudged where feedback is required"),
        pytest.param(record(1), UP, ONLY_JUDGED, None, id="liked where feedback is required"),
        pytest.param(record(1, tagged=False, **asked("hm")), None, WITHOUT_GENERAL, "Unassigned", id="of no domain for sure"),
        pytest.param(record(1), None, CONFIG.model_copy(update={"selected": ("legal",)}), "OtherDomain", id="not selected"),
        pytest.param(record(1, domain="gone"), None, CONFIG, "OtherDomain", id="tagged with a domain that the target has no more"),
    ],
)
def test_drop_reason(entry: Record, feedback: Feedback | None, config: HarvestConfig, want: str | None) -> None:
    assert drop_reason(candidate(entry, feedback, config), config) == want


@pytest.mark.parametrize(
    ("entry", "want"),
    [
        pytest.param(record(1, "legal", **asked("where is my refund")), "legal", id="the tag first"),
        pytest.param(record(1, "legal", tagged=False, **asked("where is my refund")), "support", id="else by content"),
        pytest.param(record(1, tagged=False, **asked("quero meu reembolso da fatura")), "support", id="in Portuguese"),
        pytest.param(record(1, tagged=False, **asked("my parcel never came")), "support", id="without a keyword, by similarity"),
        pytest.param(record(1, tagged=False, **asked("good morning, my friend")), "general", id="small talk is general"),
        pytest.param(record(1, tagged=False, **asked("xkcdq fnord")), "unassigned", id="else of none"),
        pytest.param(record(1, tagged=False, messages=FOLLOW_UP), "support", id="a question that goes on is of what came before"),
        pytest.param(record(1, tagged=False, messages=()), "", id="without messages there is nothing to ask"),
    ],
)
def test_domain(entry: Record, want: str) -> None:
    assert candidate(entry, None).domain == want


def test_a_domain_is_the_same_in_any_company() -> None:
    entries = [Entry((n, 0), record(n, tagged=False, **asked(text))) for n, text in enumerate(("my parcel never came", "xkcdq fnord"))]
    company = [
        entries[0],
        Entry((2, 0), None),
        Entry((3, 0), record(3, "legal")),
        entries[1],
        Entry((4, 0), record(4, tagged=False, messages=FOLLOW_UP)),
    ]
    assert domains_of(company, CONFIG.domains) == ["support", "", "legal", "unassigned", "support"]
    assert domains_of([], CONFIG.domains) == []


def test_a_correction_replaces_the_answer() -> None:
    example = candidate(record(1), CORRECTION).to_example("c")
    assert (example.answer, example.judgement) == ("Better.", Judgement.CORRECTED)


def test_an_empty_conversation_is_its_own() -> None:
    example = candidate(record(1, conversation=""), None).to_example("")
    assert (example.answer, example.talk) == ("Answer 1.", "i-1")


@pytest.mark.parametrize(
    ("revision", "feedback", "want"),
    [
        pytest.param("base", None, 1.0, id="the base model's"),
        pytest.param("support-v3-1a2b3c4d", None, OWN_OUTPUT, id="what an adapter of the domain said"),
        pytest.param("legal-v3-1a2b3c4d", None, 1.0, id="another domain's adapter"),
        pytest.param("support-v3-1a2b3c4d", UP, 1.0, id="its own, but liked"),
        pytest.param("support-v3-1a2b3c4d", CORRECTION, 1.0, id="its own, but corrected"),
    ],
)
def test_own_output_weighs_less(revision: str, feedback: Feedback | None, want: float) -> None:
    assert candidate(record(1, revision=revision), feedback).to_example("").weight == want
