"""The CRDs on a real API server: what they accept, what they refuse and with which words, what they show."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from control_plane.process import ROOT, ControlPlane, control_plane
from control_plane.reports import trained

pytestmark = pytest.mark.control_plane

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One of its own: the operator of the other tests would write statuses of its own into these."""
    with control_plane(ROOT / "crds") as running:
        yield running


def target(**spec: Any) -> Manifest:
    return {
        "apiVersion": "tuneloop.dev/v1alpha1", "kind": "InferenceTarget", "metadata": {"name": "chat-llm"},
        "spec": {
            "deploymentRef": {"name": "chat-llm"},
            "baseModel": {"name": "smollm2", "uri": "file:///models/smollm2"},
            "redis": {"secretRef": {"name": "chat-redis"}},
            "artifacts": {"adapters": {"uri": "pvc://artifacts/chat"}},
            **spec,
        },
    }  # fmt: skip


def job(name: str = "week-47", **spec: Any) -> Manifest:
    return {
        "apiVersion": "tuneloop.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": name},
        "spec": {"targetRef": {"name": "chat-llm"}, **spec},
    }  # fmt: skip


def adapter(**spec: Any) -> Manifest:
    return {
        "apiVersion": "tuneloop.dev/v1alpha1", "kind": "LoRAAdapter", "metadata": {"name": "chat-llm-support"},
        "spec": {"targetRef": {"name": "chat-llm"}, "domain": "support", **spec},
    }  # fmt: skip


def apply(plane: ControlPlane, namespace: str, manifest: Manifest, *flags: str) -> str:
    """What kubectl says on its way out of a refusal; "" when it is accepted."""
    done = plane.kubectl("apply", "-n", namespace, "-f", "-", *flags, text=json.dumps(manifest), check=False)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("manifest", [target(), job(), adapter()], ids=lambda m: m["kind"])
def test_the_shortest_of_each_kind_is_accepted_and_reads_as_unknown(plane: ControlPlane, namespace: str, manifest: Manifest) -> None:
    assert apply(plane, namespace, manifest) == ""
    stored = json.loads(plane.kubectl("get", manifest["kind"], "-n", namespace, "-o", "json").stdout)["items"][0]
    condition = stored["status"]["conditions"][0]
    assert (condition["type"], condition["status"]) == ("Ready", "Unknown")


REFUSED = [
    pytest.param(job(trainig={}), "unknown field \"spec.trainig\"", id="unknown field"),
    pytest.param(job(lora={"rank": 0}), "spec.lora.rank in body should be greater than or equal to 1", id="rank 0"),
    pytest.param(job(lora={"rank": 4096}), "spec.lora.rank in body should be less than or equal to 512", id="huge rank"),
    pytest.param(job(training={"learningRate": "fast"}), "spec.training.learningRate in body must be of type number", id="fast"),
    pytest.param(job(training={"learningRate": 0}), "spec.training.learningRate in body should be greater than 0", id="rate 0"),
    pytest.param(job(data={"window": "-1d"}), "must be a duration above 0, such as 30d", id="window before now"),
    pytest.param(job(data={"window": "0d"}), "must be a duration above 0, such as 30d", id="empty window"),
    pytest.param(job(data={"window": "1000000d"}), "must be a duration above 0, such as 30d", id="window older than dates"),
    pytest.param(job(data={"minExamplesPerDomain": 60, "maxExamplesPerDomain": 50}), "may not be above maxExamples", id="min, max"),
    pytest.param(job(evaluation={"heldOut": 0.6}), "spec.evaluation.heldOut in body should be less than or equal to 0.5", id="held out"),
    pytest.param(job(name="x" * 46), "metadata.name may have at most 45 characters", id="long name"),
    pytest.param(job(name="week.47", pods={"nodes": 2}), "metadata.name may hold no dot where spec.pods.nodes", id="dot, nodes"),
    pytest.param(job(name="week.47", data={"parallelism": 2}), "metadata.name may hold no dot where spec.pods.nodes", id="dot, parallel"),
    pytest.param(job(pods={"env": [{"name": "TUNELOOP_CONFIG", "value": "{}"}]}), "these variables are set by the operator", id="our env"),
    pytest.param(job(pods={"env": [{"name": "TUNELOOP_PODS", "value": "2"}]}), "these variables are set by the operator", id="our count"),
    pytest.param(job(pods={"resources": {"limits": {"cpu": "two"}}}), "spec.pods.resources.limits.cpu in body should match", id="quantity"),
    pytest.param(job(pods={"labels": {"tuneloop.dev/step": "x"}}), "labels below tuneloop.dev/ are set by the operator", id="our label"),
    pytest.param(job(pods={"affinity": {"nodeAffinty": {}}}), 'unknown field "spec.pods.affinity.nodeAffinty"', id="affinity"),
    pytest.param(job(pods={"securityContext": {"privileged": True}}), 'unknown field "spec.pods.securityContext"', id="privileged"),
    pytest.param(target(domains=[{"name": "auto"}]), "no domain may be named auto", id="auto"),
    pytest.param(target(domains=[{"name": "smollm2"}]), "no domain may be named like the base model", id="domain named as base"),
    pytest.param(target(domains=[{"name": "support-v3-1a2b3c4d"}]), "no domain may be named like a revision", id="named as revision"),
    pytest.param(target(domains=[{"name": "a"}, {"name": "a"}]), "Duplicate value", id="domain twice"),
    pytest.param(target(artifacts={"adapters": {"uri": "file:///x"}}), "uri must be pvc://claim/path or s3://bucket/path", id="file store"),
    pytest.param(target(artifacts={"adapters": {"uri": "http://169.254.169.254/x"}}), "should match", id="another scheme"),
    pytest.param(target(artifacts={"adapters": {"uri": "pvc://x/../y"}}), "uri may not hold .. as a part of its path", id="way up"),
    pytest.param(target(baseModel={"name": "m", "uri": "file:///models/.."}), "uri may not hold .. as a part", id="way up of a base"),
    pytest.param(adapter(artifact={"uri": "pvc://a/b", "digest": "md5:1"}), "spec.artifact.digest in body should match", id="weak digest"),
    pytest.param(adapter(domain="Support!"), "spec.domain in body should match", id="domain is no label"),
    pytest.param(adapter(domain="support-v3-1a2b3c4d"), "no domain may be named like a revision", id="adapter's domain as revision"),
    pytest.param(adapter(domain="auto"), "no domain may be named auto", id="adapter's domain auto"),
]  # fmt: skip


def test_a_job_of_one_pod_may_have_a_dot_in_its_name(plane: ControlPlane, namespace: str) -> None:
    assert apply(plane, namespace, job(name="week.47")) == ""


@pytest.mark.parametrize(("manifest", "want"), REFUSED)
def test_a_bad_spec_is_refused_naming_field_and_limit(plane: ControlPlane, namespace: str, manifest: Manifest, want: str) -> None:
    assert want in apply(plane, namespace, manifest)


CHANGES = [
    pytest.param(job(), {"lora": {"rank": 8}}, "spec.lora cannot be changed", id="lora"),
    pytest.param(job(), {"pods": {"resources": {"limits": {"cpu": 2}}}}, "spec.pods cannot be changed", id="pods"),
    pytest.param(job(), {"data": {"window": "1d"}}, "spec.data cannot be changed", id="data"),
    pytest.param(job(), {"suspend": True}, "", id="suspend is free"),
    pytest.param(job(), {"ttlSecondsAfterFinished": 60}, "", id="ttl is free"),
    pytest.param(adapter(), {"domain": "legal"}, "domain cannot be changed", id="domain"),
    pytest.param(adapter(), {"artifact": {"uri": "pvc://a/b", "digest": "sha256:" + "0" * 64}}, "", id="artifact is free"),
    pytest.param(target(), {"deploymentRef": {"name": "other"}}, "deploymentRef cannot be changed", id="deploymentRef"),
]


@pytest.mark.parametrize(("manifest", "change", "want"), CHANGES)
def test_what_may_change_later(plane: ControlPlane, namespace: str, manifest: Manifest, change: dict[str, Any], want: str) -> None:
    assert apply(plane, namespace, manifest) == ""
    changed = copy.deepcopy(manifest)
    changed["spec"] |= change
    said = apply(plane, namespace, changed)
    assert want in said if want else said == ""


@pytest.mark.parametrize("manifest", [target(), job(), adapter()], ids=lambda m: m["kind"])
def test_immutable_fields_do_not_refuse_a_status_patch(plane: ControlPlane, namespace: str, manifest: Manifest) -> None:
    assert apply(plane, namespace, manifest) == ""
    name = f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"
    plane.kubectl("patch", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", '{"status": {"observedGeneration": 1}}')


@pytest.mark.parametrize(
    ("field", "want"),
    [
        ("ftj.spec.lora.rank", "Width of the low-rank update"),
        ("ftj.status.dataset.domains.heldOut", "Examples"),
        ("itgt.spec.domains.keywords", "Words and phrases that claim a question"),
        ("lora.status.pods.failed.reason", "Why, in one word"),
    ],
)
def test_kubectl_explains_every_field(plane: ControlPlane, field: str, want: str) -> None:
    assert want in plane.kubectl("explain", field).stdout


def test_kubectl_get_shows_the_columns(plane: ControlPlane, namespace: str) -> None:
    assert apply(plane, namespace, job()) == ""
    adapters = trained(support="a", legal="b").to_wire()["adapters"]
    status = {"status": {"stage": "Complete", "adapterDomains": "support legal", "adapters": adapters}}
    plane.kubectl("patch", "ftj/week-47", "-n", namespace, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    head, row = plane.kubectl("get", "ftj", "-n", namespace).stdout.splitlines()
    assert head.split() == ["NAME", "TARGET", "STAGE", "PROGRESS", "ETA", "LOSS", "ADAPTERS", "AGE"]
    assert row.split()[:3] == ["week-47", "chat-llm", "Complete"]
    assert "support legal" in row
    wide = plane.kubectl("get", "ftj,lora", "-n", namespace, "-o", "wide").stdout
    assert wide.splitlines()[0].split()[-1] == "REASON"
