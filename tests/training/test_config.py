import json

import pytest

from training.examples import CONFIG
from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.jobs import CONFIG_ENV, Curation, Lora, TrainConfig, Training
from tuneloop_contracts.model import Wire
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.config import harvest_config, inputs_digest, redis_url, train_config
from tuneloop_trainer.errors import NeedsEdit

DATA = Dataset(uri="file:///data", digest="", from_="", to="", read=0, kept=0)
TRAIN = TrainConfig(
    job="chat/job", target="chat/chat-llm", base_model="b", base_uri="file:///b", dataset=DATA, adapters_uri="pvc://adapters"
)


def env(config: object) -> dict[str, str]:
    return {CONFIG_ENV: config.model_dump_json(by_alias=True)}  # type: ignore[attr-defined]


def test_what_the_operator_writes_is_what_is_read() -> None:
    assert harvest_config(env(CONFIG)) == CONFIG
    assert train_config(env(TRAIN)) == TRAIN


@pytest.mark.parametrize("parse", [harvest_config, train_config])
@pytest.mark.parametrize(("document", "want"), [("", "empty"), ("{", "JSON"), ("{}", "job: Field required; target: Field required")])
def test_no_document(parse: object, document: str, want: str) -> None:
    with pytest.raises(NeedsEdit, match=want):
        parse({CONFIG_ENV: document})  # type: ignore[operator]


def test_every_fault_of_a_harvest_is_named_at_once() -> None:
    broken = CONFIG.model_copy(update={
        "target": "chat-llm", "window_start": CONFIG.window_end, "datasets_uri": "ftp://x", "held_out": 0.6, "domains": (),
        "min_examples_per_domain": 0, "max_examples_per_domain": 0, "curation": Curation(near_duplicates=0, max_per_user=0),
    })  # fmt: skip
    with pytest.raises(NeedsEdit) as refused:
        harvest_config(env(broken))
    assert refused.value.fault.reason is FaultReason.INVALID_CONFIG
    named = [fault.split(":")[0] for fault in refused.value.fault.message.split("; ")]
    assert named == [
        "target", "windowStart", "datasetsUri", "domains", "minExamplesPerDomain", "maxExamplesPerDomain", "curation.maxPerUser", "heldOut",
        "curation.nearDuplicates",
    ]  # fmt: skip


def test_every_fault_of_a_training_is_named_at_once() -> None:
    broken = TRAIN.model_copy(update={
        "base_uri": "b", "lora": Lora(rank=0, alpha=0, dropout=1),
        "training": Training(epochs=0, learning_rate=0, max_sequence_length=1, tokens_per_step=0, seed=-1),
    })  # fmt: skip
    with pytest.raises(NeedsEdit) as refused:
        train_config(env(broken))
    named = [fault.split(":")[0] for fault in refused.value.fault.message.split("; ")]
    assert named == [
        "baseUri", "lora.rank", "lora.alpha", "training.epochs", "training.tokensPerStep", "training.maxSequenceLength", "lora.dropout",
        "training.learningRate", "training.seed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parse", "config", "field", "word"),
    [
        (harvest_config, CONFIG, "curation.pii", "Keep"),
        (train_config, TRAIN, "training.precision", "BFloat16"),
        (train_config, TRAIN, "training.quantization", "NF4"),
        (train_config, TRAIN, "gate.mode", "Report"),
    ],
)
def test_a_word_that_nobody_knows_is_told_with_those_that_are_known(parse: object, config: Wire, field: str, word: str) -> None:
    part, name = field.split(".")
    document = config.to_wire()
    document[part] = document.get(part, {}) | {name: "Perhaps"}
    with pytest.raises(NeedsEdit, match=f"^{field}: .*'{word}'"):
        parse({CONFIG_ENV: json.dumps(document)})  # type: ignore[operator]


def test_a_domain_that_the_target_has_not() -> None:
    with pytest.raises(NeedsEdit) as refused:
        harvest_config(env(CONFIG.model_copy(update={"selected": ("support", "sales")})))
    assert refused.value.fault.reason is FaultReason.UNKNOWN_DOMAIN
    assert refused.value.fault.message == "data.domains names sales, but the target has technical, support, legal, general"


@pytest.mark.parametrize("url", ["", "http://:hunter2@host", "hunter2"])
def test_a_redis_url_that_is_none_is_not_shown(url: str) -> None:
    with pytest.raises(NeedsEdit) as refused:
        redis_url({"REDIS_URL": url})
    assert "hunter2" not in refused.value.fault.message


def test_the_inputs_digest_names_the_inputs() -> None:
    assert inputs_digest(TRAIN) == inputs_digest(train_config(env(TRAIN)))
    assert inputs_digest(TRAIN) != inputs_digest(TRAIN.model_copy(update={"target": "chat/other"}))
