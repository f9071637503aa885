"""Who reaches whom by the chart's NetworkPolicies. The rules are evaluated here: the local cluster does not enforce them."""

from collections.abc import Sequence

import pytest

from chart.rendering import NAMESPACE, QUICKSTART, RELEASE, Manifest, of_kind, pod_templates, render

JOB = {"tuneloop.dev/target": "chat-llm", "tuneloop.dev/finetunejob": "first"}
PODS: dict[str, tuple[str, dict[str, str]]] = {
    "harvest": (NAMESPACE, JOB | {"tuneloop.dev/step": "harvest"}),
    "train": (NAMESPACE, JOB | {"tuneloop.dev/step": "train"}),
    "another target's train": (NAMESPACE, JOB | {"tuneloop.dev/target": "other", "tuneloop.dev/step": "train"}),
    "train elsewhere": ("other", JOB | {"tuneloop.dev/step": "train"}),
    "stranger": (NAMESPACE, {"app": "stranger"}),
    "stranger elsewhere": ("other", {"app": "stranger"}),
    "imitator elsewhere": ("other", {"app.kubernetes.io/name": "tuneloop", "app.kubernetes.io/component": "operator"}),
}


def selects(selector: Manifest | None, labels: dict[str, str]) -> bool:
    wanted = (selector or {}).get("matchLabels", {}).items()
    exist = [rule["key"] for rule in (selector or {}).get("matchExpressions", []) if rule["operator"] == "Exists"]
    return all(labels.get(key) == value for key, value in wanted) and all(key in labels for key in exist)


def matches(peer: Manifest, own: str, namespace: str, labels: dict[str, str]) -> bool:
    if "namespaceSelector" in peer:
        return selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace}) and selects(peer.get("podSelector"), labels)
    return own == namespace and selects(peer["podSelector"], labels)


def allowed(policies: Sequence[Manifest], way: str, subject: str, other: str, port: object) -> bool:
    """Whether the policies let `subject` be reached by `other` (ingress) or reach it (egress) on the port."""
    key = {"ingress": "from", "egress": "to"}[way]
    namespace, labels = PODS[subject]
    chosen = [
        policy["spec"] for policy in policies
        if policy["metadata"]["namespace"] == namespace and way.title() in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], labels)
    ]  # fmt: skip
    if not chosen:
        return True
    rules = [rule for spec in chosen for rule in spec.get(way, [])]
    return any(
        ("ports" not in rule or port in [entry["port"] for entry in rule["ports"]])
        and (key not in rule or any(matches(peer, namespace, *PODS[other]) for peer in rule[key]))
        for rule in rules
    )


@pytest.fixture(scope="module")
def policies() -> list[Manifest]:
    manifests = render(QUICKSTART)
    for name, template in pod_templates(manifests).items():
        PODS[name.removeprefix(f"{RELEASE}-")] = (NAMESPACE, template["metadata"]["labels"])
    return of_kind(manifests, "NetworkPolicy")


@pytest.mark.parametrize(
    ("subject", "port", "may", "may_not"),
    [
        ("operator", "progress", ["harvest", "train", "train elsewhere"], ["stranger", "stranger elsewhere", "chat-llm"]),
        ("operator", "probes", ["stranger elsewhere"], []),
        ("chat-llm", "http", ["stranger", "stranger elsewhere"], []),
        ("chat-llm", "tuneloop-status", ["operator"], ["stranger", "imitator elsewhere", "harvest", "chat-llm-redis"]),
        ("chat-llm-redis", "redis", ["chat-llm", "harvest"], ["train", "train elsewhere", "stranger", "operator", "stranger elsewhere"]),
        ("train", "http", [], ["stranger", "operator", "chat-llm"]),
    ],
)
def test_who_reaches_whom(policies: list[Manifest], subject: str, port: str, may: list[str], may_not: list[str]) -> None:
    assert [other for other in [*may, *may_not] if allowed(policies, "ingress", subject, other, port)] == may


@pytest.mark.parametrize(
    ("subject", "other", "port", "want"),
    [
        ("harvest", "chat-llm-redis", "redis", True),
        ("train", "chat-llm-redis", "redis", False),
        ("train", "operator", "progress", True),
        ("train", "stranger elsewhere", 53, True),
        ("train", "stranger elsewhere", 443, False),
        ("harvest", "stranger", "http", False),
        ("another target's train", "stranger elsewhere", 443, True),
        ("operator", "stranger elsewhere", 6443, True),
        ("chat-llm", "stranger elsewhere", 443, True),
        ("chat-llm-redis", "stranger elsewhere", 443, False),
    ],
)
def test_who_calls_whom(policies: list[Manifest], subject: str, other: str, port: object, want: bool) -> None:
    assert allowed(policies, "egress", subject, other, port) is want


def test_a_harvest_reaches_a_redis_that_is_not_the_charts() -> None:
    own = of_kind(render(QUICKSTART, "quickstart.redis.enabled=false", "quickstart.redis.existingSecret=mine"), "NetworkPolicy")
    assert allowed(own, "egress", "harvest", "stranger elsewhere", 6380)
    assert not allowed(own, "egress", "train", "stranger elsewhere", 6380)
    assert not allowed(own, "ingress", "harvest", "stranger", "http")


def test_they_can_be_turned_off() -> None:
    assert not of_kind(render(QUICKSTART, "networkPolicy.enabled=false"), "NetworkPolicy")
