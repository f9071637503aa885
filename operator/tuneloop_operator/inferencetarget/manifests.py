"""What a pass over an InferenceTarget writes: its ConfigMap and its status. Pure."""

import json
from datetime import datetime

from tuneloop_contracts.manifest import MANIFEST_KEY, AdapterManifest
from tuneloop_contracts.names import TARGET_LABEL, manifest_configmap
from tuneloop_operator.api.conditions import Readiness, kstatus, set_conditions
from tuneloop_operator.api.inferencetarget import InferenceTargetStatus, ReplicasStatus, RouteStatus
from tuneloop_operator.api.kinds import TARGETS, Object
from tuneloop_operator.api.owners import owner_reference
from tuneloop_operator.inferencetarget.autotrain import newest
from tuneloop_operator.inferencetarget.snapshot import Snapshot
from tuneloop_operator.ledger.model import LEDGER_KEY, Ledger


def config_map(seen: Snapshot, manifest: AdapterManifest, ledger: Ledger) -> Object:
    """What every pod of the target watches, and beside it the ledger that led to it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": manifest_configmap(seen.name),
            "namespace": seen.namespace,
            "labels": {TARGET_LABEL: seen.name},
            "ownerReferences": [owner_reference(TARGETS, seen.name, seen.uid)],
        },
        "data": {MANIFEST_KEY: _json(manifest.to_wire()), LEDGER_KEY: _json(ledger.to_wire())},
    }


def _json(value: Object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def status(
    seen: Snapshot, readiness: Readiness, manifest: AdapterManifest, recorded: dict[str, int], old: Object, generation: int, now: datetime
) -> Object:
    reports = [pod.report for pod in seen.pods if pod.report]
    conditions = kstatus(readiness)
    new = InferenceTargetStatus(
        observed_generation=generation,
        base_digest=reports[0].base_digest if len({report.base_digest for report in reports}) == 1 else None,
        max_lora_rank=min((report.max_lora_rank for report in reports if report.max_lora_rank), default=None),
        replicas=ReplicasStatus(desired=_desired(seen), ready=len(seen.pods), reporting=len(reports)) if seen.deployment else None,
        routes=tuple(
            RouteStatus(domain=domain, revision=route.to, weight=route.weight)
            for domain, routes in sorted(manifest.routes.items())
            for route in routes
        ),
        recorded=recorded or old.get("recorded", {}),
        last_job_time=newest(seen.jobs, old.get("lastJobTime")),
    ).to_wire()
    return new | {"conditions": set_conditions(old.get("conditions", []), conditions, generation=generation, now=now)}


def _desired(seen: Snapshot) -> int:
    return int((seen.deployment or {})["spec"].get("replicas", 1))
