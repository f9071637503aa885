"""The training job on a tiny model: from a dataset in one store to an adapter in another."""

import json
from pathlib import Path
from shutil import copytree

import pytest
from safetensors.torch import load_file, save_file

from training.lessons import dataset, job, lesson
from tuneloop_contracts.adapters import CONFIG_FILE, FILES, PROVENANCE_FILE, WEIGHTS_FILE, Provenance, adapter_digest, folder_name
from tuneloop_contracts.base import base_digest
from tuneloop_contracts.dataset import HELD_OUT_FILE, SUMMARY_FILE, TRAIN_FILE, Dataset
from tuneloop_contracts.jobs import Gate, ServingAdapter, TrainConfig, Training
from tuneloop_contracts.progress import FaultReason, Report, TrainedAdapter, Verdict
from tuneloop_trainer.errors import NeedsEdit, TrainerError, TryLater
from tuneloop_trainer.learn.finished import finished_report
from tuneloop_trainer.learn.job import train_job
from tuneloop_trainer.reporting import Reporter

ANSWER = "It is under the stairs."
STRONG = Training(epochs=3, learning_rate=2e-2, max_sequence_length=128, tokens_per_step=256)


def train(config: TrainConfig) -> Report:
    return train_job(config, Reporter())


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return dataset(tmp_path / "data", lesson("support", ANSWER))


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path, data: Dataset) -> TrainConfig:
    return job(tiny_base, tmp_path, data, training=STRONG)


def folder_of(adapter: TrainedAdapter) -> Path:
    return Path(adapter.uri.removeprefix("file://"))


def test_a_better_adapter_is_published_whole(config: TrainConfig, tiny_base: Path, tmp_path: Path) -> None:
    (adapter,) = train(config).adapters
    assert (adapter.domain, adapter.verdict, adapter.examples) == ("support", Verdict.PROMOTE, 12)
    assert float(adapter.loss.candidate) < float(adapter.loss.base)
    assert adapter.loss.serving is None
    folder = folder_of(adapter)
    assert folder == tmp_path / "adapters" / "support" / folder_name(adapter.digest)
    assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)
    assert adapter_digest(folder) == adapter.digest
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    provenance = Provenance.model_validate(json.loads((folder / PROVENANCE_FILE).read_text()))
    assert (provenance.base_digest, provenance.dataset_digest) == (base_digest(tiny_base), config.dataset.digest)
    for text in (folder / CONFIG_FILE, folder / "README.md", folder / PROVENANCE_FILE):
        assert str(tmp_path) not in text.read_text()
        assert str(tiny_base) not in text.read_text()
        assert "stairs" not in text.read_text()
    assert json.loads((folder / CONFIG_FILE).read_text())["base_model_name_or_path"] == "tiny"


def test_the_same_inputs_give_the_same_digest_in_another_process_too(config: TrainConfig, tmp_path: Path) -> None:
    first = train(config).adapters[0]
    elsewhere = config.model_copy(update={"adapters_uri": f"file://{tmp_path}/elsewhere"})
    assert train(elsewhere).adapters[0].digest == first.digest
    other = config.model_copy(update={"training": STRONG.model_copy(update={"seed": 1})})
    assert train(other).adapters[0].digest != first.digest


def test_the_report_is_kept_for_the_same_inputs_while_the_artifact_is_there(config: TrainConfig) -> None:
    assert finished_report(config) is None
    first = train(config)
    assert finished_report(config) == first
    assert finished_report(config.model_copy(update={"training": STRONG.model_copy(update={"seed": 1})})) is None
    (folder_of(first.adapters[0]) / CONFIG_FILE).unlink()
    assert finished_report(config) is None
    assert train(config).adapters == first.adapters
    assert adapter_digest(folder_of(first.adapters[0])) == first.adapters[0].digest


def test_a_candidate_that_learned_nothing_is_not_published(config: TrainConfig, tmp_path: Path) -> None:
    idle = config.model_copy(update={"training": STRONG.model_copy(update={"learning_rate": 1e-12})})
    (adapter,) = train(idle).adapters
    assert (adapter.verdict, adapter.uri, adapter.digest) == (Verdict.REJECT, "", "")
    assert not list((tmp_path / "adapters").glob("support*"))
    (reported,) = train(idle.model_copy(update={"gate": Gate(mode="Report", min_held_out=4)})).adapters
    assert reported.verdict is Verdict.REJECT
    assert reported.uri


def serving(adapter: TrainedAdapter) -> ServingAdapter:
    return ServingAdapter(domain=adapter.domain, revision="support-v1-00000000", uri=adapter.uri, digest=adapter.digest)


@pytest.fixture(scope="module")
def served(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedAdapter:
    """Trained once; a test that damages it takes a copy."""
    folder = tmp_path_factory.mktemp("served")
    return train(job(tiny_base, folder, dataset(folder / "data", lesson("support", ANSWER)), training=STRONG)).adapters[0]


def test_the_candidate_must_beat_what_serves(config: TrainConfig, served: TrainedAdapter) -> None:
    weak = STRONG.model_copy(update={"epochs": 1, "learning_rate": 1e-4})
    (adapter,) = train(config.model_copy(update={"serving": (serving(served),), "training": weak})).adapters
    assert adapter.loss.serving == served.loss.candidate
    assert float(adapter.loss.candidate) < float(adapter.loss.base)
    assert adapter.verdict is Verdict.REJECT


def test_while_the_store_of_what_serves_is_away_nothing_is_judged_by_the_base(
    config: TrainConfig, served: TrainedAdapter, tmp_path: Path
) -> None:
    folder = copytree(folder_of(served), tmp_path / "served")
    (folder / CONFIG_FILE).unlink()
    (folder / CONFIG_FILE).mkdir()  # what cannot be read, and is not missing
    known = serving(served).model_copy(update={"uri": f"file://{folder}"})
    with pytest.raises(TryLater) as refused:
        train(config.model_copy(update={"serving": (known,)}))
    assert refused.value.fault.reason is FaultReason.STORE_UNAVAILABLE


@pytest.mark.parametrize("damage", ["missing", "another digest", "corrupt", "of another shape", "pickle"])
def test_where_what_serves_cannot_be_loaded_the_base_stands_in(
    config: TrainConfig, served: TrainedAdapter, tmp_path: Path, damage: str
) -> None:
    folder = copytree(folder_of(served), tmp_path / "served")
    known = serving(served).model_copy(update={"uri": f"file://{folder}"})
    if damage == "missing":
        (folder / CONFIG_FILE).unlink()
    elif damage == "another digest":
        save_file({name: 0 * value for name, value in load_file(folder / WEIGHTS_FILE).items()}, folder / WEIGHTS_FILE)
    elif damage == "corrupt":
        (folder / WEIGHTS_FILE).write_bytes(b"nonsense")
        known = known.model_copy(update={"digest": adapter_digest(folder)})
    elif damage == "of another shape":
        save_file({name: value[:, :3].contiguous() for name, value in load_file(folder / WEIGHTS_FILE).items()}, folder / WEIGHTS_FILE)
        known = known.model_copy(update={"digest": adapter_digest(folder)})
    else:
        (folder / WEIGHTS_FILE).rename(folder / "adapter_model.bin")
    (adapter,) = train(config.model_copy(update={"serving": (known,), "training": STRONG.model_copy(update={"epochs": 1})})).adapters
    assert adapter.loss.serving is None
    assert adapter.verdict is Verdict.PROMOTE


def test_domains_do_not_touch_one_another(config: TrainConfig, tmp_path: Path) -> None:
    alone = train(config).adapters[0]
    both = dataset(tmp_path / "both", lesson("legal", "Ask a lawyer, please."), lesson("support", ANSWER))
    legal, support = train(config.model_copy(update={"dataset": both})).adapters
    assert (legal.domain, legal.verdict) == ("legal", Verdict.PROMOTE)
    weights = [load_file(folder_of(adapter) / WEIGHTS_FILE) for adapter in (alone, support)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_what_a_golden_set_asks_is_not_learned_though_the_dataset_is_older(config: TrainConfig, data: Dataset, tmp_path: Path) -> None:
    learned = (tmp_path / "data" / TRAIN_FILE).read_text().splitlines()
    held_out = (tmp_path / "data" / HELD_OUT_FILE).read_text().splitlines()
    younger = [json.dumps({key: json.loads(line)[key] for key in ("prompt", "completion")}) for line in learned[:3]]
    (tmp_path / "datasets" / "golden" / "chat" / "chat-llm" / "legal.jsonl").write_text("\n".join([*younger, *held_out]))
    assert [adapter.examples for adapter in train(config).adapters] == [9]


def test_no_held_out_rows_cannot_tell(config: TrainConfig, tmp_path: Path) -> None:
    bare = dataset(tmp_path / "bare", lesson("support", ANSWER, held_out=0))
    (adapter,) = train(config.model_copy(update={"dataset": bare})).adapters
    assert (adapter.verdict, adapter.loss.base, adapter.uri) == (Verdict.INCONCLUSIVE, "", "")


def test_rows_that_teach_nothing_once_encoded(config: TrainConfig, tmp_path: Path) -> None:
    empty = dataset(tmp_path / "empty", lesson("support", " "))
    (adapter,) = train(config.model_copy(update={"dataset": empty})).adapters
    assert (adapter.verdict, adapter.uri) == (Verdict.INCONCLUSIVE, "")


def test_no_domain_to_train_is_done_at_once(config: TrainConfig, data: Dataset) -> None:
    short = data.model_copy(update={"domains": tuple(domain.model_copy(update={"reason": "InsufficientData"}) for domain in data.domains)})
    assert train(config.model_copy(update={"dataset": short})).adapters == ()


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        pytest.param({"base_uri": "file:///nowhere"}, NeedsEdit, FaultReason.BASE_MODEL_NOT_FOUND, id="no such base"),
        pytest.param({"base_uri": "pvc://models/base"}, NeedsEdit, FaultReason.BASE_MODEL_NOT_FOUND, id="a claim that is not mounted"),
        pytest.param({"expected_base_digest": "sha256:1234"}, NeedsEdit, FaultReason.BASE_MISMATCH, id="another base serves"),
        pytest.param({"adapters_uri": "pvc://adapters"}, TryLater, FaultReason.STORE_UNAVAILABLE, id="the store is not mounted"),
    ],
)
def test_faults(config: TrainConfig, changes: dict[str, str], kind: type[TrainerError], reason: FaultReason) -> None:
    with pytest.raises(kind) as refused:
        train(config.model_copy(update=changes))
    assert refused.value.fault.reason is reason


def test_a_dataset_that_was_changed_is_refused_and_one_that_is_gone_is_waited_for(config: TrainConfig, tmp_path: Path) -> None:
    file = tmp_path / "data" / TRAIN_FILE
    file.write_text(file.read_text() + "\n")
    with pytest.raises(NeedsEdit) as changed:
        train(config)
    file.unlink()
    with pytest.raises(TryLater) as gone:
        train(config)
    assert (changed.value.fault.reason, gone.value.fault.reason) == (FaultReason.DATASET_MISMATCH, FaultReason.STORE_UNAVAILABLE)


def named(config: TrainConfig, tmp_path: Path, digest: str = "") -> TrainConfig:
    """As the operator names a dataset whose FineTuneJob is gone."""
    known = config.dataset
    (tmp_path / "data" / SUMMARY_FILE).write_text(known.model_dump_json(by_alias=True))
    return config.model_copy(update={"dataset": Dataset.by_name(known.uri, digest or known.digest)})


def test_a_dataset_that_is_only_named_is_trained_by_its_own_summary(config: TrainConfig, tmp_path: Path) -> None:
    by_name = named(config, tmp_path)
    report = train(by_name)
    assert report.dataset == config.dataset
    assert report.adapters == train(config).adapters
    assert finished_report(by_name) == report


@pytest.mark.parametrize(
    ("damage", "kind", "reason"),
    [
        pytest.param("another digest", NeedsEdit, FaultReason.DATASET_MISMATCH, id="another dataset is there, whole"),
        pytest.param("no summary", TryLater, FaultReason.STORE_UNAVAILABLE, id="nothing is there"),
        pytest.param("nonsense", NeedsEdit, FaultReason.DATASET_MISMATCH, id="no summary of ours"),
        pytest.param("other rows", NeedsEdit, FaultReason.DATASET_MISMATCH, id="its rows were changed"),
    ],
)
def test_a_dataset_that_is_not_what_was_named_is_refused(
    config: TrainConfig, tmp_path: Path, damage: str, kind: type[TrainerError], reason: FaultReason
) -> None:
    by_name = named(config, tmp_path, digest="sha256:" + "0" * 64 if damage == "another digest" else "")
    summary, rows = tmp_path / "data" / SUMMARY_FILE, tmp_path / "data" / TRAIN_FILE
    if damage == "no summary":
        summary.unlink()
    elif damage == "nonsense":
        summary.write_text("[]")
    elif damage == "other rows":
        rows.write_text(rows.read_text() + "\n")
    with pytest.raises(kind) as refused:
        train(by_name)
    assert refused.value.fault.reason is reason
