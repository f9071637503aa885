"""Which FineTuneJob trains first, of several of one target."""

import json
from typing import Any

import pytest

from tuneloop_contracts.dataset import Dataset, DomainCounts
from tuneloop_operator.finetunejob.training_order import trains_before

Object = dict[str, Any]


def fine_tune_job(name: str, stage: str) -> Object:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "status": {"stage": stage}}


def training(job: str, *domains: str, suspend: bool = False, **labels: str) -> Object:
    counts = tuple(DomainCounts(name=name, train=400, held_out=40) for name in domains)
    dataset = Dataset.by_name("pvc://artifacts/d", "sha256:d").model_copy(update={"domains": counts})
    env = [{"name": "TUNELOOP_CONFIG", "value": json.dumps({"dataset": dataset.to_wire()})}]
    owner = {"kind": "FineTuneJob", "name": job, "uid": f"uid-{job}", "controller": True}
    return {
        "metadata": {"labels": labels, "ownerReferences": [owner]},
        "spec": {"suspend": suspend, "template": {"spec": {"containers": [{"env": env}]}}},
    }


@pytest.mark.parametrize(
    ("stage", "other", "want"),
    [
        pytest.param("Training", training("one", "support", "legal"), "one", id="trains a domain in common"),
        pytest.param("Training", training("one", "legal"), "", id="trains another domain"),
        pytest.param("Training", training("one"), "one", id="nobody knows what"),
        pytest.param("Publishing", training("one", "support"), "one", id="has trained and not yet published"),
        pytest.param("Complete", training("one", "support"), "", id="has ended"),
        pytest.param("Suspended", training("one", "support", suspend=True), "", id="was suspended by hand"),
        pytest.param("Queued", training("one", "support", suspend=True, **{"kueue.x-k8s.io/queue-name": "q"}), "one", id="waits for Kueue"),
        pytest.param("Training", training("gone", "support"), "", id="its FineTuneJob is gone"),
        pytest.param("Training", training("two", "support"), "", id="is this very job"),
    ],
)
def test_a_domain_is_trained_by_one_job_at_a_time(stage: str, other: Object, want: str) -> None:
    jobs = [fine_tune_job("one", stage), fine_tune_job("two", "Queued")]
    assert trains_before("uid-two", ("support",), jobs, [other]) == want


def test_who_knows_no_domains_waits_for_any() -> None:
    assert trains_before("uid-two", (), [fine_tune_job("one", "Training")], [training("one", "legal")]) == "one"
