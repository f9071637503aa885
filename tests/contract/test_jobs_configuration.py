"""The seam between operator and trainer: the Jobs, whole, and the configurations in them as the trainer reads them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tuneloop_contracts.dataset import Dataset, DomainCounts
from tuneloop_contracts.jobs import CONFIG_ENV, HarvestConfig, TrainConfig, Workers
from tuneloop_contracts.manifest import salt_of
from tuneloop_operator.api.finetunejob import FineTuneJobSpec, WindowStatus
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.loraadapter import RevisionState, RevisionStatus
from tuneloop_operator.finetunejob.manifests import harvest_job, train_job
from tuneloop_operator.finetunejob.rendezvous import service
from tuneloop_operator.finetunejob.snapshot import AdapterSnapshot, Snapshot, TargetSnapshot
from tuneloop_operator.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SETTINGS = Settings(harvest_image="harvest:1", trainer_image="trainer:1", progress_url="http://op.sys.svc:8082", min_examples_per_domain=7)
WINDOW = WindowStatus(from_="2026-10-24T12:00:00Z", to="2026-11-23T12:00:00Z")
DATASET = Dataset(
    uri="pvc://private/chat/week-47", digest="sha256:d", from_=WINDOW.from_, to=WINDOW.to, read=9, kept=9,
    domains=(DomainCounts(name="support", train=8, held_out=1), DomainCounts(name="legal", train=1, held_out=0, reason="InsufficientData")),
)  # fmt: skip


def target(**spec: Any) -> InferenceTargetSpec:
    return InferenceTargetSpec.parse(
        {
            "deploymentRef": {"name": "chat"}, "baseModel": {"name": "smollm2", "uri": "pvc://models/smollm2"},
            "redis": {"secretRef": {"name": "chat-redis"}, "mode": "Cluster"},
            "artifacts": {"adapters": {"uri": "pvc://artifacts/chat"}, "datasets": {"uri": "pvc://private/chat"}, "archive": True},
            "domains": [{"name": "support", "keywords": ["refund"]}, {"name": "legal"}],
            **spec,
        }
    )  # fmt: skip


def seen(**spec: Any) -> Snapshot:
    revision = RevisionStatus(
        name="support-v2-99aa00bb", digest="sha256:9", uri="pvc://artifacts/chat/9", state=RevisionState.ACTIVE, since=""
    )
    adapters = {"chat-support": AdapterSnapshot("chat-support", "chat", "support", revisions=(revision,))}
    parsed = FineTuneJobSpec.parse({"targetRef": {"name": "chat"}, **spec})
    watched = TargetSnapshot(target(), base_digest="sha256:b", uid="target-uid")
    return Snapshot("week-47", "ns", "uid", NOON, parsed, NOON, target=watched, adapters=adapters)


def container(job: dict[str, Any]) -> dict[str, Any]:
    return dict(job["spec"]["template"]["spec"]["containers"][0])


def config(job: dict[str, Any]) -> str:
    return next(str(env["value"]) for env in container(job)["env"] if env["name"] == CONFIG_ENV)


def test_the_harvest_reads_what_the_operator_meant() -> None:
    spec = {
        "data": {"domains": ["support"], "tenants": ["acme"], "maxExamplesPerDomain": 100,
                 "curation": {"pii": "Keep", "nearDuplicates": 0.9, "maxPerUser": 3, "requireFeedback": True},
                 "imports": [{"format": "RedisVL", "prefix": "faq:"}, {"format": "GPTCache"}]},
        "evaluation": {"heldOut": 0.2, "minHeldOut": 4}, "training": {"seed": 5},
    }  # fmt: skip
    got = HarvestConfig.model_validate_json(config(harvest_job(seen(**spec), target(), SETTINGS, WINDOW)))
    assert got.model_dump(exclude={"domains"}) == {
        "job": "ns/week-47", "job_uid": "uid", "target": "ns/chat", "window_start": WINDOW.from_, "window_end": WINDOW.to,
        "selected": ("support",), "tenants": ("acme",), "min_examples_per_domain": 7, "max_examples_per_domain": 100,
        "held_out": 0.2, "min_held_out": 4, "datasets_uri": "pvc://private/chat", "seed": 5,
        "curation": {"pii": "Keep", "near_duplicates": 0.9, "max_per_user": 3, "require_feedback": True},
        "imports": ({"format": "RedisVL", "prefix": "faq:"}, {"format": "GPTCache", "prefix": ""}), "salt": salt_of("target-uid"),
        "archive": True, "redis_mode": "Cluster",
    }  # fmt: skip
    assert got.domains == target().domains


def test_the_training_reads_what_the_operator_meant() -> None:
    spec = {
        "lora": {"rank": 8, "dropout": 0.1, "targetModules": ["q_proj"]},
        "training": {"learningRate": 0.001, "precision": "Float32", "quantization": "NF4"},
        "evaluation": {"gate": "Report", "minImprovement": 0.5, "minHeldOut": 4},
    }  # fmt: skip
    got = TrainConfig.model_validate_json(config(train_job(seen(**spec), target(), SETTINGS, DATASET)))
    assert got.model_dump(exclude={"dataset"}) == {
        "job": "ns/week-47", "job_uid": "uid", "target": "ns/chat", "base_model": "smollm2", "base_uri": "pvc://models/smollm2",
        "expected_base_digest": "sha256:b", "datasets_uri": "pvc://private/chat", "adapters_uri": "pvc://artifacts/chat",
        "serving": (
            {"domain": "support", "revision": "support-v2-99aa00bb", "uri": "pvc://artifacts/chat/9", "digest": "sha256:9"},
        ),
        "lora": {"rank": 8, "alpha": 32, "dropout": 0.1, "target_modules": ("q_proj",)},
        "training": {
            "epochs": 3, "learning_rate": 0.001, "max_sequence_length": 2048, "tokens_per_step": 8192, "precision": "Float32",
            "quantization": "NF4", "seed": 0,
        },
        "gate": {"mode": "Report", "min_improvement": 0.5, "max_forgetting": 0.02, "min_held_out": 4},
        "workers": {"nodes": 1, "per_node": 1},
    }  # fmt: skip
    assert got.dataset == DATASET


def test_what_is_trained_is_kept_whether_or_not_it_is_rolled_out() -> None:
    kept = train_job(seen(publish={"mode": "None"}), target(), SETTINGS, DATASET)
    assert config(kept) == config(train_job(seen(), target(), SETTINGS, DATASET))


def test_the_harvest_job_whole() -> None:
    got = harvest_job(seen(), target(), SETTINGS, WINDOW)
    labels = {"tuneloop.dev/target": "chat", "tuneloop.dev/finetunejob": "week-47", "tuneloop.dev/step": "harvest"}
    configuration = config(got)
    assert got == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "week-47-harvest", "namespace": "ns", "labels": labels,
            "ownerReferences": [
                {"apiVersion": "tuneloop.dev/v1alpha1", "kind": "FineTuneJob", "name": "week-47", "uid": "uid", "controller": True}
            ],
        },
        "spec": {
            "activeDeadlineSeconds": 86400,
            "backoffLimit": 2,
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onExitCodes": {"containerName": "harvest", "operator": "In", "values": [2]}},
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    "serviceAccountName": "default",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": {
                        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "harvest",
                            "image": "harvest:1",
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["python", "-m", "tuneloop_trainer", "harvest"],
                            "env": [
                                {"name": "TUNELOOP_CONFIG", "value": configuration},
                                {"name": "REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "chat-redis", "key": "url"}}},
                                {
                                    "name": "KUBEFLOW_TRAINER_SERVER_URL",
                                    "value": "http://op.sys.svc:8082/v1/namespaces/ns/finetunejobs/week-47/progress",
                                },
                                {"name": "KUBEFLOW_TRAINER_SERVER_TOKEN", "value": "/var/run/secrets/tuneloop/token"},
                                {"name": "HOME", "value": "/tmp"},
                            ],
                            "envFrom": [],
                            "securityContext": {
                                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
                            },
                            "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
                            "volumeMounts": [
                                {"name": "tmp", "mountPath": "/tmp"},
                                {"name": "token", "mountPath": "/var/run/secrets/tuneloop", "readOnly": True},
                                {"name": "store-0", "mountPath": "/var/lib/tuneloop/stores/private", "readOnly": False},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "tmp", "emptyDir": {}},
                        {
                            "name": "token",
                            "projected": {
                                "sources": [
                                    {"serviceAccountToken": {"path": "token", "audience": "tuneloop", "expirationSeconds": 3600}}
                                ]
                            },
                        },
                        {"name": "store-0", "persistentVolumeClaim": {"claimName": "private"}},
                    ],
                },
            },
        },
    }  # fmt: skip


def test_job_pods_pull_with_the_operators_secrets_too() -> None:
    settings = SETTINGS.model_copy(update={"image_pull_secrets": ("registry", "pull")})
    named = {"imagePullSecrets": [{"name": "pull"}]}
    for job in (harvest_job(seen(pods=named), target(), settings, WINDOW), train_job(seen(pods=named), target(), settings, DATASET)):
        assert job["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}, {"name": "registry"}]


def test_the_training_job_adds_what_names_hardware() -> None:
    pods = {
        "gpus": 2, "image": "own:1", "resources": {"requests": {"cpu": 4}, "limits": {"memory": "8Gi"}}, "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}], "affinity": {"nodeAffinity": {}}, "priorityClassName": "low",
        "env": [{"name": "HF_HOME", "value": "/tmp/hf"}, {"name": "TUNELOOP_CONFIG", "value": "{}"}],
        "imagePullSecrets": [{"name": "pull"}],
        "labels": {"kueue.x-k8s.io/queue-name": "night", "tuneloop.dev/step": "mine"},
    }  # fmt: skip
    got = train_job(seen(pods=pods, activeDeadlineSeconds=60, backoffLimit=0), target(), SETTINGS, DATASET)
    pod, box = got["spec"]["template"]["spec"], container(got)
    assert (got["spec"]["activeDeadlineSeconds"], got["spec"]["backoffLimit"]) == (60, 0)
    assert harvest_job(seen(activeDeadlineSeconds=60), target(), SETTINGS, WINDOW)["spec"]["activeDeadlineSeconds"] == 60, "so that it ends"
    assert got["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "night"
    assert got["metadata"]["labels"]["tuneloop.dev/step"] == "train", "ours win"
    assert (box["image"], box["command"][-1]) == ("own:1", "train")
    assert box["resources"] == {"requests": {"cpu": 4}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "2"}}
    assert [env["name"] for env in box["env"]].index("HF_HOME") == 0
    assert [env for env in box["env"] if env["name"] == "TUNELOOP_CONFIG"][-1]["value"] != "{}", "the last of one name counts: ours"
    assert (pod["nodeSelector"], pod["priorityClassName"], pod["imagePullSecrets"]) == ({"gpu": "a100"}, "low", [{"name": "pull"}])
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists", "value": "", "effect": ""}]
    assert "REDIS_URL" not in [env["name"] for env in box["env"]], "the training needs no Redis"
    mounts = {
        mount["mountPath"].rsplit("/", 1)[-1]: mount.get("readOnly") for mount in box["volumeMounts"] if "stores" in mount["mountPath"]
    }
    assert mounts == {"models": True, "private": True, "artifacts": False}


def test_several_pods_train_as_one_indexed_job() -> None:
    alone = train_job(seen(pods={"gpus": 4}), target(), SETTINGS, DATASET)
    got = train_job(seen(pods={"gpus": 4, "nodes": 3}), target(), SETTINGS, DATASET)
    kept = {"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimit": 6}
    assert kept.items() <= got["spec"].items()
    assert {key: value for key, value in got["spec"].items() if key not in (*kept, "template")} == {
        key: value for key, value in alone["spec"].items() if key not in ("backoffLimit", "template")
    }
    assert got["spec"]["template"]["spec"]["subdomain"] == service(seen(pods={"nodes": 3}))["metadata"]["name"]
    assert container(got)["env"][-1] == {"name": "MASTER_ADDR", "value": "week-47-train-0.train-week-47-uid"}
    assert TrainConfig.model_validate_json(config(got)).workers == Workers(nodes=3, per_node=4)
    assert TrainConfig.model_validate_json(config(alone)).workers == Workers(nodes=1, per_node=4)


def test_one_claim_for_all_is_mounted_once_and_written_to() -> None:
    shared = target(baseModel={"name": "m", "uri": "pvc://all/base"}, artifacts={"adapters": {"uri": "pvc://all/chat"}})
    dataset = DATASET.model_copy(update={"uri": "pvc://all/chat/_datasets/week-47"})
    got = train_job(seen(), shared, SETTINGS, dataset)
    stores = [mount for mount in container(got)["volumeMounts"] if mount["name"].startswith("store")]
    assert [(mount["mountPath"], mount["readOnly"]) for mount in stores] == [("/var/lib/tuneloop/stores/all", False)]
    harvest = HarvestConfig.model_validate_json(config(harvest_job(seen(), shared, SETTINGS, WINDOW)))
    assert harvest.datasets_uri == "pvc://all/chat/_datasets"


@pytest.mark.parametrize("build", [harvest_job, train_job])
def test_secrets_are_only_named(build: Any) -> None:
    stores = {
        "adapters": {"uri": "s3://b/a", "secretRef": {"name": "keys"}},
        "datasets": {"uri": "s3://b/d", "secretRef": {"name": "keys"}},
    }
    secret = target(artifacts=stores, baseModel={"name": "m", "uri": "hf://org/m", "secretRef": {"name": "hub"}})
    got = container(build(seen(), secret, SETTINGS, WINDOW if build is harvest_job else DATASET.model_copy(update={"uri": "s3://b/d/1"})))
    names = [source["secretRef"]["name"] for source in got["envFrom"]]
    assert names == (["keys"] if build is harvest_job else ["hub", "keys"])
    assert [mount["name"] for mount in got["volumeMounts"]] == ["tmp", "token"]
