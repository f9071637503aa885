"""Several pods work on one step of a job, and end as one."""

from builders_e2e import Trained, finetune_job
from tuneloop_demo import kube
from tuneloop_demo.installation import Installation


def test_two_pods_harvest_and_two_train_one_adapter(installation: Installation, trained: Trained) -> None:
    asked = finetune_job("together", ["general"], installation, pods={"nodes": 2}, publish={"mode": "None"})
    asked["spec"]["data"]["parallelism"] = 2
    job, _ = installation.train(asked)
    assert kube.is_true(job, "Complete"), job["status"]
    loss = job["status"]["adapters"][0]["loss"]
    assert float(loss["candidate"]) < float(loss["base"])
    for step in ("harvest", "train"):
        status = kube.get("job", f"together-{step}", namespace=installation.namespace)["status"]
        assert (status["succeeded"], status["completedIndexes"]) == (2, "0,1"), step
