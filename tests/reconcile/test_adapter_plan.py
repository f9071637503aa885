"""What is said of a LoRAAdapter, for what the ledger and the pods say."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tuneloop_contracts.pods import AdapterReport, AdapterState, LoadFault, PodReport
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.loraadapter import LoRAAdapterSpec, RevisionState
from tuneloop_operator.ledger.claims import Note
from tuneloop_operator.ledger.inputs import Adapter, Pod
from tuneloop_operator.ledger.model import Entry, Revision
from tuneloop_operator.loraadapter.manifests import status
from tuneloop_operator.loraadapter.plan import RULES, conditions, plan
from tuneloop_operator.loraadapter.snapshot import Snapshot

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TARGET = InferenceTargetSpec.parse(
    {
        "deploymentRef": {"name": "chat"}, "baseModel": {"name": "smollm2", "uri": "file:///m"}, "redis": {"secretRef": {"name": "r"}},
        "artifacts": {"adapters": {"uri": "pvc://artifacts/chat"}},
    }
)  # fmt: skip


def digest(mark: str) -> str:
    return f"sha256:{mark * 64}"


def name(mark: str) -> str:
    return f"support-v{'abc'.index(mark) + 1}-{mark * 8}"


def entry(held: str = "", **states: RevisionState) -> Entry:
    """Revisions by letter, newest first."""
    why = {"reason": "UnsafeFormat", "message": "pod-0: bad"}
    revisions = tuple(
        Revision(
            name=name(mark), digest=digest(mark), uri=f"u/{mark}", state=state, since="2026-11-23T11:00:00Z",
            **(why if state == RevisionState.REFUSED else {}),
        )
        for mark, state in states.items()
    )  # fmt: skip
    return Entry(uid="uid", domain="support", last_number=3, revisions=revisions, held=digest(held) if held else "")


def pods(*states: dict[str, AdapterState]) -> tuple[Pod, ...]:
    """Of each pod, what it says of each letter."""
    return tuple(
        Pod(
            f"pod-{number}",
            PodReport(
                resource_version="1", base_model="smollm2", base_digest="b",
                adapters=tuple(
                    AdapterReport(
                        name=name(mark), digest=digest(mark), state=state, message="why",
                        reason=LoadFault.CORRUPT_WEIGHTS if state == AdapterState.FAILED else None,
                    )
                    for mark, state in said.items()
                ),
            ),
        )
        for number, said in enumerate(states)
    )  # fmt: skip


LOADED, LOADING, FAILED = AdapterState.LOADED, AdapterState.LOADING, AdapterState.FAILED
ACTIVE, CANDIDATE, REFUSED = RevisionState.ACTIVE, RevisionState.CANDIDATE, RevisionState.REFUSED
BOTH_A = pods({"a": LOADED}, {"a": LOADED})
BACK_IN_VAIN = entry(b=ACTIVE, a=REFUSED).model_copy(update={"rolled_back_to": name("a")})


def seen(mark: str = "a", *, suspend: bool = False, **world: Any) -> Snapshot:
    artifact = {"artifact": {"uri": f"pvc://artifacts/{mark}", "digest": digest(mark)}} if mark else {}
    spec = LoRAAdapterSpec.parse({"targetRef": {"name": "chat"}, "domain": "support", "suspend": suspend, **artifact})
    whole = Snapshot(Adapter("chat-support", "uid", "2026-11-23T10:00:00Z", spec), TARGET, BOTH_A, entry(a=ACTIVE))
    return replace(whole, **world)


CASES = [  # what is seen, then Ready's status and reason, then Available, Progressing, Degraded
    pytest.param(seen(), True, "Serving", "TFF", id="all is well"),
    pytest.param(seen(target=None), False, "TargetNotFound", "TFF", id="no target"),
    pytest.param(seen("", entry=entry()), True, "NoArtifactYet", "FFF", id="no artifact"),
    pytest.param(seen(suspend=True), True, "Suspended", "TFF", id="suspended"),
    pytest.param(seen(note=Note("DomainTaken", "m"), entry=entry()), False, "DomainTaken", "FFF", id="domain taken"),
    pytest.param(seen(note=Note("UnknownDomain", "m"), entry=entry()), False, "UnknownDomain", "FFF", id="unknown domain"),
    pytest.param(seen(entry=None, pods=()), False, "Pending", "FFF", id="not taken up yet"),
    pytest.param(
        seen("b", entry=entry(b=CANDIDATE, a=ACTIVE), pods=pods({"a": LOADED, "b": LOADED}, {"a": LOADED, "b": LOADING})),
        False,
        "Loading",
        "TTF",
        id="candidate is loading",
    ),
    pytest.param(
        seen("b", entry=entry(b=CANDIDATE, a=ACTIVE), pods=pods({"a": LOADED, "b": FAILED}, {"a": LOADED})),
        False,
        "CorruptWeights",
        "TTF",
        id="candidate fails on a pod",
    ),
    pytest.param(seen("b", entry=entry(b=CANDIDATE), pods=()), False, "NoReadyPods", "FTF", id="no pod to load a candidate"),
    pytest.param(
        seen("b", entry=entry(b=CANDIDATE, a=ACTIVE), note=Note("NoCapacity", "m", blocks=False, needs_edit=False)),
        False,
        "NoCapacity",
        "TTF",
        id="no room",
    ),
    pytest.param(seen("b", entry=entry("b", b=REFUSED, a=ACTIVE)), False, "UnsafeFormat", "TFT", id="refused"),
    pytest.param(seen("b", entry=entry("b", b=RevisionState.ROLLED_BACK, a=ACTIVE)), True, "RolledBack", "TFF", id="rolled back"),
    pytest.param(
        seen("b", entry=BACK_IN_VAIN, pods=pods({"b": LOADED}, {"b": LOADED})),
        False,
        "UnsafeFormat",
        "TFT",
        id="the revision to go back to was refused",
    ),
    pytest.param(seen(pods=pods({"a": LOADED}, {"a": FAILED})), False, "CorruptWeights", "TFT", id="what serves fails on a pod"),
    pytest.param(seen(pods=pods({"a": LOADED}, {})), False, "Loading", "TFF", id="a new pod is loading what serves"),
    pytest.param(seen(pods=()), False, "NoReadyPods", "FFF", id="no pod serves"),
]


@pytest.mark.parametrize(("world", "want_ready", "want_reason", "want_others"), CASES)
def test_plan(world: Snapshot, want_ready: bool, want_reason: str, want_others: str) -> None:
    verdict = plan(world)
    said = {c.type: c.status for c in conditions(world, verdict)}
    assert (verdict.ready, verdict.reason) == (want_ready, want_reason)
    assert said["Ready"] == want_ready
    assert [said["Ready"], said["Reconciling"], said["Stalled"]].count(True) == 1, "kstatus: ready, on its way, or stuck"
    assert "".join("T" if said[type_] else "F" for type_ in ("Available", "Progressing", "Degraded")) == want_others


def test_every_rule_has_a_case() -> None:
    worlds = [case.values[0] for case in CASES]
    speaking = {next((r.__name__ for r in RULES if r(w, w.entry or entry())), "") for w in worlds}
    assert {rule.__name__ for rule in RULES} <= speaking


def test_the_status_whole() -> None:
    world = seen("b", entry=entry(b=CANDIDATE, a=ACTIVE), pods=pods({"a": LOADED, "b": FAILED}, {"a": LOADED}))
    got = status(world, plan(world), {}, 4, NOON)
    got.pop("conditions")
    assert got == {
        "observedGeneration": 4,
        "active": name("a"),
        "candidate": name("b"),
        "weight": 0,
        "pods": {"desired": 2, "loaded": 0, "failedCount": 1, "failed": [{"pod": "pod-0", "reason": "CorruptWeights", "message": "why"}]},
        "revisions": [
            {"name": name(mark), "digest": digest(mark), "uri": f"u/{mark}", "fineTuneJob": "", "state": state,
             "since": "2026-11-23T11:00:00Z", "reason": ""}
            for mark, state in (("b", "Candidate"), ("a", "Active"))
        ],
    }  # fmt: skip


def test_only_the_first_ten_failures_are_listed() -> None:
    world = seen(pods=pods(*({"a": FAILED} for _ in range(12))))
    got = status(world, plan(world), {}, 1, NOON)["pods"]
    assert (got["failedCount"], len(got["failed"])) == (12, 10)


def test_without_an_entry_the_old_revisions_stay() -> None:
    old = {"active": name("a"), "revisions": [{"name": name("a")}]}
    world = seen(entry=None)
    assert status(world, plan(world), old, 2, NOON)["revisions"] == old["revisions"]


def test_without_a_target_nothing_is_said_to_serve() -> None:
    revisions = [{"name": name("a"), "state": "Active"}]
    old = {"active": name("a"), "pods": {"loaded": 2}, "revisions": revisions, "rolledBackTo": name("a")}
    world = Snapshot(seen().adapter, None)
    got = status(world, plan(world), old, 2, NOON)
    got.pop("conditions")
    assert got == {"observedGeneration": 2, "revisions": revisions, "rolledBackTo": name("a")}
