"""How revisions move: each case is a sequence of what is seen, and what the ledger and the manifest hold after it."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_contracts.names import ROLLBACK_ANNOTATION
from tuneloop_contracts.pods import AdapterReport, AdapterState, LoadFault, PodReport
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.loraadapter import LoRAAdapterSpec, LoRAAdapterStatus, RevisionState, RevisionStatus
from tuneloop_operator.ledger.inputs import Adapter, Pod
from tuneloop_operator.ledger.model import Ledger, read_ledger
from tuneloop_operator.ledger.settle import SettleResult, settle

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def target(**spec: object) -> InferenceTargetSpec:
    return InferenceTargetSpec.parse(
        {
            "deploymentRef": {"name": "chat"}, "baseModel": {"name": "smollm2", "uri": "file:///m"}, "redis": {"secretRef": {"name": "r"}},
            "artifacts": {"adapters": {"uri": "pvc://artifacts/chat"}},
            **spec,
        }
    )  # fmt: skip


def digest(mark: str) -> str:
    return f"sha256:{mark * 64}"


def adapter(mark: str = "a", *, domain: str = "support", name: str = "", created: int = 0, rollback: str = "", **spec: object) -> Adapter:
    """`mark` is the digest's letter; "" is no artifact."""
    artifact = {"artifact": {"uri": f"pvc://artifacts/chat/{domain}/{mark}", "digest": digest(mark)}} if mark else {}
    name = name or f"chat-{domain}"
    parsed = LoRAAdapterSpec.parse({"targetRef": {"name": "chat"}, "domain": domain, **artifact, **spec})
    return Adapter(name, f"uid-{name}", f"2026-11-23T0{created}:00:00Z", parsed, {ROLLBACK_ANNOTATION: rollback} if rollback else {})


@dataclass
class Story:
    """A target whose pods load what the manifest says, but for what a test calls bad."""

    spec: InferenceTargetSpec = field(default_factory=target)
    adapters: tuple[Adapter, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    manifest: AdapterManifest = field(default_factory=AdapterManifest)
    pods: int = 2
    bad: dict[str, LoadFault] = field(default_factory=dict)
    slow: set[int] = field(default_factory=set)
    """Pods that have not loaded anything new."""
    now: datetime = NOON
    last: SettleResult | None = None

    def step(self, *adapters: Adapter, minutes: int = 1) -> SettleResult:
        """One pass over what the pods report of the manifest before."""
        self.now += timedelta(minutes=minutes)
        self.adapters = adapters or self.adapters
        self.last = settle(self.spec, "uid-target", self.adapters, self.ledger, [self._pod(n) for n in range(self.pods)], self.now)
        self.ledger, self.manifest = read_ledger({"revisions.json": self.last.ledger.model_dump_json(by_alias=True)}), self.last.manifest
        return self.last

    def settled(self, *adapters: Adapter) -> "Story":
        for _ in range(3):
            self.step(*adapters)
        return self

    def _pod(self, number: int) -> Pod:
        reports = tuple(
            AdapterReport(
                name=a.name, digest=a.digest, reason=self.bad.get(a.digest), message="bad",
                state=AdapterState.FAILED if a.digest in self.bad else AdapterState.LOADING if number in self.slow else AdapterState.LOADED,
            )
            for a in self.manifest.adapters
        )  # fmt: skip
        return Pod(f"pod-{number}", PodReport(resource_version="1", base_model="smollm2", base_digest="b", adapters=reports))

    def states(self, name: str = "chat-support") -> dict[str, str]:
        return {revision.name[-8:-7]: revision.state.value for revision in self.ledger.entries[name].revisions}

    def route(self, domain: str = "support") -> str:
        """The letter of the revision that answers."""
        routes = self.manifest.routes.get(domain, ())
        return routes[0].to[-8:-7] if routes else ""

    def loaded(self) -> str:
        return "".join(a.name[-8:-7] for a in self.manifest.adapters)


def test_a_first_revision_answers_only_when_every_ready_pod_has_it() -> None:
    story = Story(slow={1})
    story.step(adapter("a"))
    assert (story.states(), story.loaded(), story.route()) == ({"a": "Candidate"}, "a", "")
    story.step()
    assert story.route() == ""
    story.slow.clear()
    story.step()
    assert (story.states(), story.route()) == ({"a": "Active"}, "a")
    assert story.manifest.routes["support"][0].to == f"support-v1-{'a' * 8}"


def test_a_new_digest_takes_over_without_a_gap_and_the_old_stays_loaded() -> None:
    story = Story().settled(adapter("a"))
    story.step(adapter("b"))
    assert (story.states(), story.loaded(), story.route()) == ({"b": "Candidate", "a": "Active"}, "ab", "a")
    story.step()
    assert (story.states(), story.route()) == ({"b": "Active", "a": "Superseded"}, "b")
    assert sorted(story.loaded()) == ["a", "b"]
    story.settled(adapter("c"))
    assert (story.states(), sorted(story.loaded())) == ({"c": "Active", "b": "Superseded", "a": "Superseded"}, ["b", "c"])


def test_nothing_moves_without_a_ready_pod() -> None:
    story = Story(pods=0).settled(adapter("a"))
    assert (story.states(), story.route()) == ({"a": "Candidate"}, "")


def test_a_pod_that_does_not_answer_holds_a_candidate_up() -> None:
    story = Story()
    story.step(adapter("a"))
    silent = [story._pod(0), Pod("pod-1", None, "does not answer")]
    after = settle(story.spec, "uid", story.adapters, story.ledger, silent, NOON)
    assert after.ledger.entries["chat-support"].active is None


@pytest.mark.parametrize("fault", [fault for fault in LoadFault if fault != LoadFault.ARTIFACT_NOT_FOUND])
def test_a_revision_that_a_pod_finds_wrong_is_refused_and_what_serves_is_untouched(fault: LoadFault) -> None:
    story = Story().settled(adapter("a"))
    story.bad[digest("b")] = fault
    story.settled(adapter("b"))
    assert (story.states(), story.loaded(), story.route()) == ({"b": "Refused", "a": "Active"}, "a", "a")
    refused = story.ledger.entries["chat-support"].revisions[0]
    assert (refused.reason, refused.message) == (fault.value, "pod-0: bad")
    story.bad.clear()
    story.settled()
    assert story.states() == {"b": "Refused", "a": "Active"}, "a digest that was refused is not tried again by itself"


def test_a_digest_that_was_refused_is_tried_again_at_another_place() -> None:
    story = Story().settled(adapter("a"))
    story.bad[digest("b")] = LoadFault.DIGEST_MISMATCH
    wrong = adapter("b", artifact={"uri": "pvc://artifacts/chat/support/typo", "digest": digest("b")})
    story.settled(wrong)
    assert story.states() == {"b": "Refused", "a": "Active"}
    story.bad.clear()
    story.settled(wrong)
    assert story.states() == {"b": "Refused", "a": "Active"}
    story.settled(adapter("b"))
    assert (story.states(), story.route()) == ({"b": "Active", "a": "Superseded"}, "b")


def test_an_artifact_that_is_not_there_yet_is_waited_for_until_the_deadline() -> None:
    story = Story().settled(adapter("a"))
    story.bad[digest("b")] = LoadFault.ARTIFACT_NOT_FOUND
    late = adapter("b", rollout={"progressDeadline": "1h"})
    story.step(late)
    story.step(minutes=50)
    assert story.states() == {"b": "Candidate", "a": "Active"}
    story.step(minutes=20)
    assert (story.states(), story.route()) == ({"b": "Refused", "a": "Active"}, "a")


def test_an_artifact_that_arrives_late_takes_over() -> None:
    story = Story().settled(adapter("a"))
    story.bad[digest("b")] = LoadFault.ARTIFACT_NOT_FOUND
    story.settled(adapter("b"))
    story.bad.clear()
    story.settled()
    assert story.states() == {"b": "Active", "a": "Superseded"}


def test_the_same_name_with_other_weights_does_not_count_as_loaded() -> None:
    story = Story()
    story.step(adapter("a"))
    lying = PodReport(
        resource_version="1", base_model="smollm2", base_digest="b",
        adapters=(AdapterReport(name=f"support-v1-{'a' * 8}", digest=digest("9"), state=AdapterState.LOADED),),
    )  # fmt: skip
    after = settle(story.spec, "uid", story.adapters, story.ledger, [Pod("pod-0", lying)], NOON)
    assert after.ledger.entries["chat-support"].active is None


def test_a_rollback_takes_one_pass_since_the_last_revision_is_still_loaded() -> None:
    story = Story().settled(adapter("a")).settled(adapter("b"))
    story.step(adapter("b", rollback=f"support-v1-{'a' * 8}"))
    assert (story.states(), story.route()) == ({"b": "RolledBack", "a": "Active"}, "a")
    story.settled()
    assert (story.states(), story.route()) == ({"b": "RolledBack", "a": "Active"}, "a"), "it does not roll forward again"
    assert story.ledger.entries["chat-support"].rolled_back_to == f"support-v1-{'a' * 8}"


def test_a_rollback_to_a_revision_that_is_no_longer_loaded_waits_for_it() -> None:
    story = Story().settled(adapter("a")).settled(adapter("b")).settled(adapter("c"))
    story.step(adapter("c", rollback=f"support-v1-{'a' * 8}"))
    assert (story.states()["a"], story.route()) == ("Candidate", "c")
    story.step()
    assert (story.states(), story.route()) == ({"c": "RolledBack", "b": "Superseded", "a": "Active"}, "a")


def test_a_rollback_is_obeyed_once_a_value_and_taking_it_away_arms_it_again() -> None:
    back = f"support-v1-{'a' * 8}"
    story = Story().settled(adapter("a")).settled(adapter("b")).settled(adapter("b", rollback=back))
    story.settled(adapter("c", rollback=back))
    assert (story.states(), story.route()) == ({"c": "Active", "b": "RolledBack", "a": "Superseded"}, "c")
    story.settled(adapter("c"))
    story.settled(adapter("c", rollback=back))
    assert (story.states(), story.route()) == ({"c": "RolledBack", "b": "RolledBack", "a": "Active"}, "a")


def test_a_digest_that_was_rolled_back_may_be_asked_for_again_after_another() -> None:
    story = Story().settled(adapter("a")).settled(adapter("b")).settled(adapter("b", rollback=f"support-v1-{'a' * 8}"))
    story.settled(adapter("a"))
    story.settled(adapter("b"))
    assert (story.states(), story.route()) == ({"b": "Active", "a": "Superseded"}, "b")


def test_a_rollback_gives_up_a_candidate() -> None:
    story = Story().settled(adapter("a"))
    story.slow = {0}
    story.settled(adapter("b")).settled(adapter("b", rollback=f"support-v1-{'a' * 8}"))
    assert (story.states(), story.route(), story.loaded()) == ({"b": "RolledBack", "a": "Active"}, "a", "a")


def test_a_rollback_to_an_unknown_revision_says_which_there_are() -> None:
    story = Story().settled(adapter("a", rollback="support-v9-00000000"))
    assert story.last
    note = story.last.notes["chat-support"]
    assert (note.reason, note.blocks, story.route()) == ("UnknownRevision", False, "a")
    assert f"known: support-v1-{'a' * 8}" in note.message


def test_suspend_holds_everything() -> None:
    story = Story().settled(adapter("a")).settled(adapter("b", suspend=True))
    assert (story.states(), story.route()) == ({"a": "Active"}, "a")


def test_an_artifact_taken_out_of_the_spec_is_no_longer_served() -> None:
    story = Story().settled(adapter("a")).settled(adapter(""))
    assert (story.states(), story.route()) == ({"a": "Superseded"}, "")
    story.settled(adapter("a"))
    assert (story.states(), story.route()) == ({"a": "Active"}, "a")


def test_the_older_of_two_serves_a_domain_and_the_younger_takes_over_when_it_is_gone() -> None:
    older, younger = adapter("a", created=1, name="z-older"), adapter("b", created=2, name="a-younger")
    story = Story().settled(younger, older)
    assert story.last
    assert (story.route(), story.loaded(), story.last.notes["a-younger"].reason) == ("a", "a", "DomainTaken")
    assert "z-older" in story.last.notes["a-younger"].message
    story.settled(younger)
    assert (story.route(), story.last.notes) == ("b", {})


def test_a_domain_that_the_target_does_not_have_is_not_served() -> None:
    story = Story().settled(adapter("a", domain="cooking"))
    assert story.last
    assert (story.manifest.adapters, story.last.notes["chat-cooking"].reason) == ((), "UnknownDomain")


def test_an_artifact_in_a_claim_that_is_not_mounted_is_not_taken_up() -> None:
    story = Story().settled(adapter("a"))
    elsewhere = adapter("b", artifact={"uri": "pvc://other/x", "digest": digest("b")})
    story.settled(elsewhere)
    assert story.last
    assert (story.states(), story.route(), story.last.notes["chat-support"].reason) == ({"a": "Active"}, "a", "StoreNotMounted")


def test_a_full_pod_gives_up_what_it_would_fall_back_to_first() -> None:
    story = Story(spec=target(maxLoadedAdapters=3))
    story.settled(adapter("a"), adapter("c", domain="legal")).settled(adapter("b"), adapter("c", domain="legal"))
    assert sorted(story.loaded()) == ["a", "b", "c"]
    story.settled(adapter("b"), adapter("d", domain="legal"))
    assert (story.route("legal"), len(story.manifest.adapters)) == ("d", 3)


def test_a_candidate_waits_while_all_room_is_taken_by_what_serves() -> None:
    story = Story(spec=target(maxLoadedAdapters=1)).settled(adapter("a"))
    story.settled(adapter("a"), adapter("c", domain="legal"))
    assert story.last
    assert (story.loaded(), story.route("legal"), story.last.notes["chat-legal"].reason) == ("a", "", "NoCapacity")
    story.spec = target(maxLoadedAdapters=2)
    story.settled()
    assert (story.route("legal"), story.last.notes) == ("c", {})


def test_history_is_trimmed_but_never_what_is_needed_and_numbers_go_on() -> None:
    story = Story()
    for mark in "abcdef":
        story.settled(adapter(mark, revisionHistoryLimit=3))
    assert story.states() == {"f": "Active", "e": "Superseded", "d": "Superseded"}
    assert story.ledger.entries["chat-support"].last_number == 6


def test_an_adapter_that_is_gone_leaves_the_ledger_and_another_of_its_name_starts_afresh() -> None:
    story = Story().settled(adapter("a")).settled(adapter("b"))
    story.step(replace(adapter("c"), uid="another"))
    assert story.states() == {"c": "Candidate"}
    story.adapters = ()
    assert (story.step().ledger.entries, story.manifest.adapters, story.manifest.routes) == ({}, (), {})


def test_a_lost_ledger_is_rebuilt_from_the_status() -> None:
    back = f"support-v1-{'a' * 8}"
    story = Story().settled(adapter("a")).settled(adapter("b")).settled(adapter("b", rollback=back))
    before = story.ledger
    entry = before.entries["chat-support"]
    revisions = tuple(RevisionStatus(**revision.model_dump(exclude={"message"})) for revision in entry.revisions)
    remembered = replace(adapter("b", rollback=back), status=LoRAAdapterStatus(revisions=revisions, rolled_back_to=entry.rolled_back_to))
    story.ledger = Ledger()
    story.step(remembered)
    assert story.ledger == before
    assert story.route() == "a"


def test_a_ledger_that_was_tampered_with_counts_as_lost() -> None:
    assert read_ledger({"revisions.json": '{"entries": 5}'}) == read_ledger({}) == Ledger()
    revision = {"name": "support-v1-aaaaaaaa", "digest": "d", "uri": "u", "state": "Candidate", "since": "yesterday"}
    entries = {"a": {"uid": "u", "domain": "support", "revisions": [revision]}}
    assert read_ledger({"revisions.json": json.dumps({"entries": entries})}) == Ledger()


def test_the_manifest_says_all_that_a_server_needs() -> None:
    story = Story(spec=target(routing={"baseNameByContent": True})).settled(adapter("a"))
    manifest = story.manifest
    assert (manifest.base_model, manifest.base_name_by_content, manifest.max_loaded_adapters) == ("smollm2", True, 8)
    assert [domain.name for domain in manifest.domains] == ["technical", "support", "legal", "general"]
    assert manifest.salt == Story().step(adapter("a")).manifest.salt
    assert len(manifest.salt) == 32


def test_the_states_of_the_contract_are_all_reached() -> None:
    assert {state.value for state in RevisionState} == {"Active", "Candidate", "Superseded", "RolledBack", "Refused"}
