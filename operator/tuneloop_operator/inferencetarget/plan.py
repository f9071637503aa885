"""Decides how an InferenceTarget is. RULES in order: the first that speaks decides, and its message says how to mend it."""

from collections.abc import Callable

from tuneloop_contracts.names import manifest_configmap
from tuneloop_contracts.pods import STATUS_PORT, RedisState
from tuneloop_contracts.stores import claim_of, mount_path
from tuneloop_operator.api.conditions import Readiness
from tuneloop_operator.inferencetarget.snapshot import Snapshot

SERVING = "Serving"


Rule = Callable[[Snapshot], Readiness | None]


def duplicate_target(seen: Snapshot) -> Readiness | None:
    if not seen.older_target:
        return None
    message = (
        f"Deployment {seen.spec.deployment_ref.name} already belongs to InferenceTarget {seen.older_target}, which is older; delete one"
    )
    return Readiness(False, "DuplicateTarget", message, needs_edit=True)


def deployment_not_found(seen: Snapshot) -> Readiness | None:
    if seen.deployment is not None:
        return None
    return Readiness(False, "DeploymentNotFound", f"there is no Deployment {seen.spec.deployment_ref.name} in namespace {seen.namespace}")


def store_not_found(seen: Snapshot) -> Readiness | None:
    if not seen.absent_claims:
        return None
    claims = ", ".join(seen.absent_claims)
    return Readiness(False, "StoreNotFound", f"there is no PersistentVolumeClaim {claims} in namespace {seen.namespace}; create it")


def store_not_mounted(seen: Snapshot) -> Readiness | None:
    claim = claim_of(seen.spec.artifacts.adapters.uri)
    if not claim or mounts(seen, claim):
        return None
    message = (
        f"Deployment {seen.spec.deployment_ref.name} does not mount claim {claim}; add to its pod template: "
        f"volumes: [{{name: {claim}, persistentVolumeClaim: {{claimName: {claim}, readOnly: true}}}}] and to the server's container: "
        f"volumeMounts: [{{name: {claim}, mountPath: {mount_path(claim)}, readOnly: true}}]"
    )
    return Readiness(False, "StoreNotMounted", message, needs_edit=True)


def mounts(seen: Snapshot, claim: str) -> bool:
    """Whether a container of the Deployment mounts the claim where artifacts are looked for."""
    template = (seen.deployment or {})["spec"]["template"]["spec"]
    volumes = {v["name"] for v in template.get("volumes", []) if v.get("persistentVolumeClaim", {}).get("claimName") == claim}
    places = [mount for container in template["containers"] for mount in container.get("volumeMounts", [])]
    return any(mount["name"] in volumes and mount["mountPath"].rstrip("/") == mount_path(claim) for mount in places)


def store_not_shareable(seen: Snapshot) -> Readiness | None:
    if not seen.claim_conflict:
        return None
    claim, waiting, holding = seen.claim_conflict.claim, seen.claim_conflict.waiting, seen.claim_conflict.holding
    message = (
        f"claim {claim} goes to one node at a time: pod {waiting} waits for it while pod {holding} has it; make the claim ReadWriteMany, "
        "or keep the pods on one node (spec.pods.nodeSelector of a FineTuneJob)"
    )
    return Readiness(False, "StoreNotShareable", message, needs_edit=True)


def no_replicas(seen: Snapshot) -> Readiness | None:
    if (seen.deployment or {})["spec"].get("replicas", 1):
        return None
    return Readiness(False, "NoReplicas", f"Deployment {seen.spec.deployment_ref.name} is scaled to 0; scale it up")


def no_ready_pods(seen: Snapshot) -> Readiness | None:
    if seen.pods:
        return None
    return Readiness(False, "NoReadyPods", f"no pod of Deployment {seen.spec.deployment_ref.name} is ready; see kubectl describe pods")


def not_a_tuneloop_server(seen: Snapshot) -> Readiness | None:
    if any(pod.report for pod in seen.pods):
        return None
    message = (
        f"no ready pod answers as a Tuneloop server on its status port ({STATUS_PORT}, or the one named tuneloop-status): "
        f"{seen.pods[0].fault or 'no answer yet'}; check the image, and a NetworkPolicy between the operator and the pods"
    )
    return Readiness(False, "NotATuneloopServer", message)


_REDIS = {
    RedisState.UNAUTHORIZED: ("RedisUnauthorized", "refuses the password in its Secret; mend the Secret and restart the pods", False),
    RedisState.UNREACHABLE: ("RedisUnreachable", "does not answer; interactions are not being recorded", False),
    RedisState.UNSAFE_EVICTION: (
        "UnsafeEvictionPolicy", "may evict recorded interactions: set its maxmemory-policy to noeviction", True,
    ),
    RedisState.OFF: ("RedisOff", "is not set: give the pods REDIS_URL, so that interactions are recorded", True),
}  # fmt: skip


def redis_trouble(seen: Snapshot) -> Readiness | None:
    states = {pod.report.redis: pod.name for pod in seen.pods if pod.report}
    for state, (reason, what, needs_edit) in _REDIS.items():
        if state in states:
            return Readiness(False, reason, f"the Redis of pod {states[state]} {what}", needs_edit)
    return None


def base_mismatch(seen: Snapshot) -> Readiness | None:
    reports = [(pod.name, pod.report) for pod in seen.pods if pod.report]
    for pod, report in reports:
        if report.base_model != seen.spec.base_model.name:
            said = seen.spec.base_model.name
            message = f"pod {pod} serves {report.base_model}, the target says {said}; make MODEL_NAME and baseModel agree"
            return Readiness(False, "BaseMismatch", message, needs_edit=True)
    if len({report.base_digest for _, report in reports}) > 1:
        return Readiness(False, "BaseMismatch", "the pods hold different weights of the base model; let the rollout end or mend it")
    return None


def manifest_not_read(seen: Snapshot) -> Readiness | None:
    blind = [pod.name for pod in seen.pods if pod.report and not pod.report.resource_version]
    if not blind:
        return None
    name = manifest_configmap(seen.name)
    message = (
        f"pod {blind[0]} has not read ConfigMap {name}: its service account needs get, list and watch on it, "
        f"and TUNELOOP_TARGET must be {seen.namespace}/{seen.name}"
    )
    return Readiness(False, "ManifestNotRead", message)


RULES: tuple[Rule, ...] = (
    duplicate_target,
    deployment_not_found,
    store_not_found,
    store_not_mounted,
    store_not_shareable,
    no_replicas,
    no_ready_pods,
    not_a_tuneloop_server,
    base_mismatch,
    redis_trouble,
    manifest_not_read,
)


def plan(seen: Snapshot) -> Readiness:
    """How the target is; ready when no rule has anything against it."""
    for rule in RULES:
        if readiness := rule(seen):
            return readiness
    answering = sum(pod.report is not None for pod in seen.pods)
    return Readiness(True, SERVING, f"{answering} of {len(seen.pods)} ready pods answer")
