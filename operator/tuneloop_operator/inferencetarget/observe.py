"""Gathers all that a pass over an InferenceTarget decides on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tuneloop_contracts.names import manifest_configmap
from tuneloop_contracts.pods import STATUS_PORT, STATUS_PORT_NAME
from tuneloop_operator.api.conditions import READY, is_true
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.kinds import ADAPTERS, CLAIMS, CONFIG_MAPS, DEPLOYMENTS, FINE_TUNE_JOBS, PODS, TARGETS, Object
from tuneloop_operator.clients.kube import Kube
from tuneloop_operator.inferencetarget.claim_conflict import ClaimConflict, find_conflict, is_shareable
from tuneloop_operator.inferencetarget.follow import Address, PodFollowers
from tuneloop_operator.inferencetarget.snapshot import Snapshot, claims_of
from tuneloop_operator.ledger.inputs import Adapter, read_adapter
from tuneloop_operator.queue import Key


async def observe(kube: Kube, followers: PodFollowers, key: Key, body: Object, spec: InferenceTargetSpec, now: datetime) -> Snapshot:
    """Several reads, none of which may be of an older world than the pass itself."""
    namespace = key.namespace
    deployment = await kube.get(DEPLOYMENTS, namespace, spec.deployment_ref.name)
    pods = await _ready_pods(kube, namespace, deployment)
    claims = {claim: await kube.get(CLAIMS, namespace, claim) for claim in claims_of(spec)}
    return Snapshot(
        name=key.name,
        uid=body["metadata"]["uid"],
        namespace=namespace,
        spec=spec,
        deployment=deployment,
        pods=await followers.look(key, [address_of(pod) for pod in pods]),
        older_target=_older_target(body, await kube.list(TARGETS, namespace)),
        absent_claims=tuple(claim for claim, found in claims.items() if found is None),
        claim_conflict=await _claim_conflict(kube, namespace, claims, now),
        config_map=await kube.get(CONFIG_MAPS, namespace, manifest_configmap(key.name)),
        adapters=await adapters_of(kube, namespace, key.name),
        jobs=tuple(job for job in await kube.list(FINE_TUNE_JOBS, namespace) if job["spec"]["targetRef"]["name"] == key.name),
    )


async def adapters_of(kube: Kube, namespace: str, target: str) -> tuple[Adapter, ...]:
    read = [read_adapter(body) for body in await kube.list(ADAPTERS, namespace)]
    return tuple(adapter for adapter in read if adapter and adapter.spec.target_ref.name == target)


async def _claim_conflict(kube: Kube, namespace: str, claims: Mapping[str, Object | None], now: datetime) -> ClaimConflict | None:
    """Job pods mount them as server pods do."""
    exclusive = [name for name, claim in claims.items() if claim and not is_shareable(claim)]
    return find_conflict(exclusive, await kube.list(PODS, namespace), now) if exclusive else None


async def _ready_pods(kube: Kube, namespace: str, deployment: Object | None) -> list[Object]:
    if deployment is None:
        return []
    pods = await kube.list(PODS, namespace, labels=selector_of(deployment))
    return sorted((pod for pod in pods if _is_ready(pod)), key=lambda pod: str(pod["metadata"]["name"]))


def selector_of(deployment: Object) -> str:
    """The pods of a Deployment, in the words of a query. It is never empty: the API server refuses such a Deployment."""
    selector = deployment["spec"]["selector"]
    said = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    for expression in selector.get("matchExpressions", []):
        key, values = expression["key"], ",".join(expression.get("values", []))
        how = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        said.append(how[expression["operator"]])
    return ",".join(said)


def _is_ready(pod: Object) -> bool:
    status = pod.get("status", {})
    return is_true(status, READY) and bool(status.get("podIP")) and "deletionTimestamp" not in pod["metadata"]


def address_of(pod: Object) -> Address:
    """The status port by its name, so that an adopted Deployment may put it elsewhere."""
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    port = next((port["containerPort"] for port in ports if port.get("name") == STATUS_PORT_NAME), STATUS_PORT)
    ip = pod["status"]["podIP"]
    return Address(pod["metadata"]["name"], pod["metadata"]["uid"], f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}")


def _older_target(body: Object, targets: Sequence[Object]) -> str:
    """The oldest other target on the same Deployment, if it is older than this one."""

    def age(target: Object) -> tuple[str, str]:
        return str(target["metadata"]["creationTimestamp"]), str(target["metadata"]["name"])

    rivals = [
        other
        for other in targets
        if _deployment(other) == _deployment(body) and age(other) < age(body) and "deletionTimestamp" not in other["metadata"]
    ]
    return str(min(rivals, key=age)["metadata"]["name"]) if rivals else ""


def _deployment(target: Object) -> Any:
    return target["spec"]["deploymentRef"]["name"]
