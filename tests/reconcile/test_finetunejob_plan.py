"""The life of a FineTuneJob: for what is seen, where it stands, why, and what is done next."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tuneloop_contracts.dataset import INSUFFICIENT, Count, Dataset, DomainCounts
from tuneloop_contracts.progress import Losses, Metric, ProgressBody, Report, TrainedAdapter, TrainerStatus, Verdict
from tuneloop_operator.api.finetunejob import AdapterStatus, FineTuneJobSpec, FineTuneJobStatus, Stage, WindowStatus
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.loraadapter import RevisionState, RevisionStatus
from tuneloop_operator.clients.errors import NotAllowed
from tuneloop_operator.finetunejob.actions import CreateHarvest, CreateTrain, DeleteJob, Publish, SetSuspend
from tuneloop_operator.finetunejob.decision import Plan, refused
from tuneloop_operator.finetunejob.facts import seconds_to_expiry
from tuneloop_operator.finetunejob.jobs import JobSnapshot, Owner, Phase, Trouble
from tuneloop_operator.finetunejob.plan import RULES, plan
from tuneloop_operator.finetunejob.snapshot import AdapterSnapshot, Snapshot, TargetSnapshot
from tuneloop_operator.finetunejob.stages import STAGES, JobState, conditions, is_end
from tuneloop_operator.finetunejob.status import status, throttled
from tuneloop_operator.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
UNTIL = "2026-11-23T11:59:00Z"
SETTINGS = Settings(harvest_image="h:1", trainer_image="t:1", progress_url="http://op:8082")
TARGET = TargetSnapshot(
    InferenceTargetSpec.parse(
        {
            "deploymentRef": {"name": "chat"}, "baseModel": {"name": "smollm2", "uri": "file:///m"}, "redis": {"secretRef": {"name": "r"}},
            "artifacts": {"adapters": {"uri": "pvc://artifacts/chat"}},
        }
    ),
    base_digest="sha256:b",
)  # fmt: skip


def digest(mark: str) -> str:
    return f"sha256:{mark * 64}"


def dataset(**counts: int) -> Dataset:
    domains = tuple(DomainCounts(name=n, train=c, held_out=0, reason=INSUFFICIENT if c < 50 else None) for n, c in counts.items())
    return Dataset(uri="pvc://artifacts/d", digest=digest("d"), from_="2026-10-24T11:59:00Z", to=UNTIL, read=500, kept=400,
                   dropped=(Count(name="Duplicate", count=100),), outside_signal=3, domains=domains)  # fmt: skip


def trained(domain: str = "support", mark: str = "a", verdict: Verdict = Verdict.PROMOTE) -> TrainedAdapter:
    return TrainedAdapter(
        domain=domain,
        digest=digest(mark),
        uri=f"pvc://artifacts/chat/{domain}/{mark}",
        loss=Losses(base="2", candidate="1"),
        verdict=verdict,
    )


def job(step: str, **seen: object) -> JobSnapshot:
    return replace(JobSnapshot(f"week-47-{step}", f"uid-{step}", Owner.OURS, Phase.ACTIVE), **seen)  # type: ignore[arg-type]


def seen(spec: dict[str, object] | None = None, **world: object) -> Snapshot:
    parsed = FineTuneJobSpec.parse({"targetRef": {"name": "chat"}, **(spec or {})})
    whole = Snapshot("week-47", "ns", "uid", NOON - timedelta(hours=1), parsed, NOON, target=TARGET)
    return replace(whole, **world)  # type: ignore[arg-type]


HARVESTED = FineTuneJobStatus(
    stage=Stage.HARVESTING, window=WindowStatus(from_="2026-10-24T11:59:00Z", to=UNTIL), dataset=dataset(support=400, legal=31)
)
TRAINED = HARVESTED.model_copy(update={"adapters": (AdapterStatus(**trained().model_dump()),)})
WINDOW = WindowStatus(from_="2026-10-24T12:00:00Z", to="2026-11-23T12:00:00.000Z")
NOTHING = trained(verdict=Verdict.INCONCLUSIVE).model_copy(update={"digest": "", "uri": ""})
COMPLETE_TRAIN = job("train", phase=Phase.COMPLETE, report=Report(adapters=(trained(),)))
COLLECTED = "pvc://artifacts/chat/_datasets/ns/week-46-01234567"
NAMED_TRAIN = replace(
    COMPLETE_TRAIN,
    report=Report(dataset=dataset(support=400), adapters=(trained(),)),
    config=json.dumps({"dataset": Dataset.by_name(COLLECTED, digest("d")).to_wire()}),
)
PUBLISHED = AdapterSnapshot("chat-support", "chat", "support", digest("a"), "week-47", UNTIL)
JUST_SET = replace(PUBLISHED, trained_by="week-46")
CANDIDATE = RevisionStatus(name="support-v2-aaaaaaaa", digest=digest("a"), uri="u", state=RevisionState.CANDIDATE, since=UNTIL)


def progress(**metrics: str) -> ProgressBody:
    values = tuple(Metric(name=name, value=value) for name, value in metrics.items())
    said = TrainerStatus(progress_percentage=43, estimated_remaining_seconds=212, last_updated_time=UNTIL, metrics=values)
    return ProgressBody(trainer_status=said)


CASES = [
    # waiting for the target
    pytest.param(seen(), "Harvesting", "Harvesting", [CreateHarvest(WINDOW, TARGET.spec)], id="starts with the harvest"),
    pytest.param(seen(target=None), "Pending", "TargetNotFound", [], id="no target"),
    pytest.param(
        seen(target=replace(TARGET, trouble=Trouble("RedisUnreachable", "m"))), "Pending", "RedisUnreachable", [], id="target's own reason"
    ),
    pytest.param(seen(target=replace(TARGET, trouble=Trouble("Odd", "m"))), "Pending", "TargetNotReady", [], id="target not ready"),
    pytest.param(seen(target=replace(TARGET, max_lora_rank=8)), "Pending", "RankTooLarge", [], id="a default rank that no pod loads"),
    pytest.param(
        seen({"lora": {"rank": 128}}, target=replace(TARGET, max_lora_rank=64)), "Pending", "RankTooLarge", [], id="a rank no pod loads"
    ),
    pytest.param(
        seen({"lora": {"rank": 128}, "publish": {"mode": "None"}}, target=replace(TARGET, max_lora_rank=64)),
        "Harvesting", "Harvesting", [CreateHarvest(WINDOW, TARGET.spec)], id="a rank that no pod is asked to load",
    ),
    pytest.param(seen({"data": {"domains": ["cooking"]}}), "Pending", "UnknownDomain", [], id="a domain that the target has not"),
    pytest.param(
        seen({"data": {"datasetRef": {"uri": "s3://b/d", "digest": digest("d")}}}), "Pending", "DatasetNotFound", [], id="no such dataset"
    ),
    pytest.param(
        seen({"data": {"datasetRef": {"uri": "pvc://artifacts/d", "digest": digest("e")}}}, referenced=dataset(support=400)),
        "Failed", "DatasetMismatch", [], id="another dataset is at that place",
    ),
    pytest.param(
        seen({"data": {"datasetRef": {"uri": COLLECTED, "digest": digest("d")}}}),
        "Queued", "Queued", [CreateTrain(Dataset.by_name(COLLECTED, digest("d")), TARGET.spec)], id="who collected it is gone",
    ),
    pytest.param(
        seen({"data": {"datasetRef": {"uri": COLLECTED, "digest": digest("d")}}}, train=NAMED_TRAIN, adapters={"chat-support": PUBLISHED}),
        "Complete", "Published", [], id="its summary came with the report",
    ),
    # harvest
    pytest.param(seen(harvest=job("harvest", running=True)), "Harvesting", "Harvesting", [], id="harvest runs"),
    pytest.param(
        seen(harvest=job("harvest", running=True), target=replace(TARGET, trouble=Trouble("NoReadyPods", "m"))),
        "Harvesting", "Harvesting", [], id="a flapping target stops nothing",
    ),
    pytest.param(
        seen(harvest=job("harvest", waiting=Trouble("ImagePullBackOff", "m"))), "Harvesting", "ImagePullBackOff", [], id="no image"
    ),
    pytest.param(
        seen(harvest=job("harvest", running=True), harvest_progress=progress(waiting="RedisUnreachable")),
        "Harvesting", "RedisUnreachable", [], id="harvest waits for Redis",
    ),
    pytest.param(
        seen(harvest=job("harvest", failures=1, fault=Trouble("PodKilled", "m"))), "Harvesting", "Retrying", [], id="harvest is retried"
    ),
    pytest.param(
        seen(harvest=job("harvest", phase=Phase.FAILED, failures=1, fault=Trouble("SeveralTenants", "m"))),
        "Failed", "SeveralTenants", [], id="harvest failed",
    ),
    pytest.param(
        seen(harvest=job("harvest", phase=Phase.COMPLETE)), "Harvesting", "ReportLost", [DeleteJob(job("harvest", phase=Phase.COMPLETE))],
        id="harvest ended unheard",
    ),
    pytest.param(
        seen(harvest=job("harvest", phase=Phase.COMPLETE, report=Report(dataset=dataset(support=31, legal=2)))),
        "InsufficientData", "InsufficientData", [], id="too little",
    ),
    pytest.param(
        seen({"collectOnly": True}, harvest=job("harvest", phase=Phase.COMPLETE, report=Report(dataset=dataset(support=400)))),
        "Collected", "Collected", [], id="collect only",
    ),
    # training
    pytest.param(
        seen(harvest=job("harvest", phase=Phase.COMPLETE, report=Report(dataset=dataset(support=400)))),
        "Queued", "Queued", [CreateTrain(dataset(support=400), TARGET.spec)], id="enough: trains",
    ),
    pytest.param(seen(old=HARVESTED, rival="week-46"), "Queued", "AnotherFirst", [], id="another trains for the target"),
    pytest.param(
        seen(old=HARVESTED, rival="week-46", train=job("train", suspended=True)), "Queued", "AnotherFirst", [],
        id="another trains since this was suspended",
    ),
    pytest.param(
        seen(old=HARVESTED, adapters={"chat-support": JUST_SET}), "Queued", "AnotherFirst", [], id="nobody has looked at what another made"
    ),
    pytest.param(
        seen(old=HARVESTED, adapters={"chat-support": replace(JUST_SET, revisions=(CANDIDATE,))}), "Queued", "AnotherFirst", [],
        id="what another made is about to serve",
    ),
    pytest.param(
        seen(old=HARVESTED, adapters={"chat-support": replace(JUST_SET, revisions=(CANDIDATE,), held=True)}), "Queued", "Queued",
        [CreateTrain(dataset(support=400, legal=31), TARGET.spec)], id="what would serve if nobody held it",
    ),
    pytest.param(
        seen({"data": {"datasetRef": {"uri": "pvc://artifacts/d", "digest": digest("d")}}}, referenced=dataset(support=400)),
        "Queued", "Queued", [CreateTrain(dataset(support=400), TARGET.spec)], id="trains what was collected before",
    ),
    pytest.param(
        seen(old=HARVESTED, target=replace(TARGET, trouble=Trouble("NoReadyPods", "m"))), "Pending", "NoReadyPods", [],
        id="no GPU for a target that broke",
    ),
    pytest.param(seen(old=HARVESTED, train=job("train")), "Queued", "Queued", [], id="training pod pending"),
    pytest.param(
        seen(old=HARVESTED, train=job("train", waiting=Trouble("Unschedulable", "0/1 nodes"))), "Queued", "Unschedulable", [], id="no GPU"
    ),
    pytest.param(
        seen(old=HARVESTED, train=job("train", podless_since=NOON - timedelta(seconds=30))), "Queued", "NoPodYet", [], id="quota full"
    ),
    pytest.param(seen(old=HARVESTED, train=job("train", podless_since=NOON)), "Queued", "Queued", [], id="just made"),
    pytest.param(seen(old=HARVESTED, train=job("train", running=True)), "Training", "Training", [], id="training"),
    pytest.param(
        seen(old=HARVESTED, train=job("train", running=True), train_progress=progress(stage="Evaluating")),
        "Evaluating", "Evaluating", [], id="evaluating",
    ),
    pytest.param(
        seen(old=HARVESTED, train=job("train", phase=Phase.FAILED, failures=3, fault=Trouble("OOMKilled", "m"))),
        "Failed", "OOMKilled", [], id="out of memory",
    ),
    pytest.param(
        seen(old=HARVESTED, train=job("train", phase=Phase.COMPLETE)), "Training", "ReportLost",
        [DeleteJob(job("train", phase=Phase.COMPLETE))], id="training ended unheard",
    ),
    pytest.param(
        seen(old=HARVESTED, train=job("train", phase=Phase.COMPLETE, report=Report())), "Failed", "InternalError", [], id="trained nothing"
    ),
    # publishing
    pytest.param(seen(old=HARVESTED, train=COMPLETE_TRAIN), "Publishing", "Publishing", [Publish(trained(), UNTIL)], id="publishes"),
    pytest.param(
        seen(old=HARVESTED, train=COMPLETE_TRAIN, adapters={"chat-support": PUBLISHED}), "Complete", "Published", [], id="published"
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"chat-support": PUBLISHED}), "Complete", "Published", [], id="published, Jobs swept away"
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"chat-support": replace(PUBLISHED, trained_by="week-48", data_until="2026-11-30T00:00:00Z")}),
        "Complete", "Superseded", [], id="older data never replaces newer",
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"chat-support": replace(PUBLISHED, digest=digest("z"), data_until="2026-11-30T00:00:00Z")}),
        "Complete", "Superseded", [], id="nor by an earlier job of this name",
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"chat-support": replace(PUBLISHED, digest=digest("z"))}),
        "Publishing", "Publishing", [Publish(AdapterStatus(**trained().model_dump()), UNTIL)], id="this job's own first try is replaced",
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"chat-support": replace(PUBLISHED, trained_by="week-46", data_until="2026-11-16T00:00:00Z")}),
        "Publishing", "Publishing", [Publish(AdapterStatus(**trained().model_dump()), UNTIL)], id="newer data replaces older",
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"chat-support": AdapterSnapshot("chat-support", "chat", "support", digest("z"), managed_by="kubectl")}),
        "Complete", "ManagedElsewhere", [], id="Git owns the artifact",
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"chat-support": AdapterSnapshot("chat-support", "chat", "billing", digest("z"))}),
        "Complete", "NameTaken", [], id="the name is another domain's",
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"chat-support": AdapterSnapshot("chat-support", "other", "support", digest("a"), "week-47", UNTIL)}),
        "Complete", "NameTaken", [], id="the name is another target's",
    ),
    pytest.param(
        seen(old=TRAINED, adapters={"git-named": replace(PUBLISHED, name="git-named")}), "Complete", "Published", [],
        id="to the one that answers for the domain, however it is called",
    ),
    pytest.param(
        seen(old=TRAINED, adapters={
            "chat-support": replace(PUBLISHED, created="2026-11-02T00:00:00Z"),
            "older": AdapterSnapshot("older", "chat", "support", digest("z"), managed_by="kubectl", created="2026-11-01T00:00:00Z"),
        }),
        "Complete", "ManagedElsewhere", [], id="the older of two answers for the domain",
    ),
    pytest.param(seen({"publish": {"mode": "None"}}, old=TRAINED), "Complete", "NotPublished", [], id="publish nothing"),
    pytest.param(
        seen(old=HARVESTED, train=replace(COMPLETE_TRAIN, report=Report(adapters=(trained(verdict=Verdict.REJECT),)))),
        "Rejected", "Rejected", [], id="the gate refused",
    ),
    pytest.param(
        seen(old=HARVESTED, train=replace(COMPLETE_TRAIN, report=Report(adapters=(trained(verdict=Verdict.INCONCLUSIVE),)))),
        "Inconclusive", "Inconclusive", [], id="undecided",
    ),
    pytest.param(
        seen(
            {"evaluation": {"gate": "Report"}},
            old=HARVESTED, train=replace(COMPLETE_TRAIN, report=Report(adapters=(trained(verdict=Verdict.REJECT),))),
        ),
        "Publishing", "Publishing", [Publish(trained(verdict=Verdict.REJECT), UNTIL)], id="a gate that only reports",
    ),
    pytest.param(
        seen(
            {"evaluation": {"gate": "Report"}},
            old=HARVESTED, train=replace(COMPLETE_TRAIN, report=Report(adapters=(NOTHING,))),
        ),
        "Inconclusive", "Inconclusive", [], id="a gate that only reports, and nothing to publish",
    ),
    # suspend, strangers, ends
    pytest.param(seen({"suspend": True}), "Suspended", "Suspended", [], id="suspended before it began"),
    pytest.param(
        seen({"suspend": True}, old=HARVESTED, train=job("train", running=True)), "Suspended", "Suspended",
        [SetSuspend(job("train", running=True), True)], id="suspended while training",
    ),
    pytest.param(
        seen({"suspend": True}, old=HARVESTED, train=job("train", running=True, queued=True)), "Suspended", "Suspended",
        [DeleteJob(job("train", running=True, queued=True))], id="suspended, which Kueue would undo",
    ),
    pytest.param(
        seen({"suspend": True}, old=HARVESTED, train=job("train", suspended=True, queued=True)), "Suspended", "Suspended",
        [DeleteJob(job("train", suspended=True, queued=True))], id="suspended while Kueue lets it wait",
    ),
    pytest.param(
        seen(old=HARVESTED, train=job("train", suspended=True)), "Queued", "Queued", [SetSuspend(job("train", suspended=True), False)],
        id="resumed",
    ),
    pytest.param(
        seen(old=HARVESTED, train=job("train", suspended=True, queued=True)), "Queued", "Queued", [], id="Kueue decides when it runs"
    ),
    pytest.param(seen(harvest=job("harvest", owner=Owner.STRANGER)), "Pending", "NameConflict", [], id="a stranger's Job"),
    pytest.param(seen(harvest=job("harvest", owner=Owner.EARLIER)), "Pending", "CleaningUp", [], id="an earlier job's Job"),
    pytest.param(
        seen(adapters={"chat-support": PUBLISHED}), "Complete", "Published", [], id="status and Jobs lost, but it had published"
    ),
    pytest.param(
        seen(adapters={"chat-support": replace(PUBLISHED, data_until="2026-11-23T10:00:00Z")}), "Harvesting", "Harvesting",
        [CreateHarvest(WINDOW, TARGET.spec)], id="that was an earlier job of this name",
    ),
    pytest.param(
        seen(old=TRAINED.model_copy(update={"stage": Stage.FAILED}), train=COMPLETE_TRAIN), "Failed", "Failed", [], id="ends are not left"
    ),
    pytest.param(
        seen({"ttlSecondsAfterFinished": 60}, old=TRAINED.model_copy(update={"stage": Stage.COMPLETE, "completed_at": UNTIL}),
             train=COMPLETE_TRAIN),
        "Complete", "Complete", [DeleteJob(COMPLETE_TRAIN)], id="Jobs are pruned after their time",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("world", "want_stage", "want_reason", "want_actions"), CASES)
def test_plan(world: Snapshot, want_stage: str, want_reason: str, want_actions: list[object]) -> None:
    got = plan(world, SETTINGS)
    assert (got.state.stage.value, got.state.reason) == (want_stage, want_reason)
    assert list(got.actions) == want_actions


def test_a_report_that_had_no_room_ends_the_job_and_says_how_it_gets_through() -> None:
    untold = seen(old=HARVESTED, train=job("train", phase=Phase.COMPLETE, report=Report(cut=True)))
    state = plan(untold, SETTINGS).state
    assert state.stage == "Failed"
    assert "progress port" in state.message


def test_every_rule_and_every_stage_has_a_case() -> None:
    worlds = [case.values[0] for case in CASES] + [seen()]
    speaking = {next((rule.__name__ for rule in RULES if rule(world, SETTINGS)), "start") for world in worlds}
    assert speaking | {"disabled"} == {rule.__name__ for rule in RULES} | {"start"}
    assert {case.values[1] for case in CASES} == {stage.value for stage in Stage}


def test_fine_tuning_may_be_switched_off_but_what_runs_goes_on() -> None:
    off = SETTINGS.model_copy(update={"enable_fine_tuning": False})
    assert plan(seen(), off).state.reason == "FineTuningDisabled"
    assert plan(seen(harvest=job("harvest", running=True)), off).state.reason == "Harvesting"


@pytest.mark.parametrize(("stage", "row"), STAGES.items(), ids=lambda value: value.value if isinstance(value, Stage) else "")
def test_the_stage_table(stage: Stage, row: object) -> None:
    """As in the API's description: so kubectl wait always ends, and kstatus, Helm and Flux read a job rightly."""
    said = {c.type: c.status for c in conditions(JobState(stage, "R", "m"))}
    running = stage in (Stage.PENDING, Stage.HARVESTING, Stage.QUEUED, Stage.TRAINING, Stage.EVALUATING, Stage.PUBLISHING)
    good_end = stage in (Stage.COMPLETE, Stage.INSUFFICIENT_DATA, Stage.COLLECTED, Stage.REJECTED, Stage.INCONCLUSIVE)
    assert said == {
        "Ready": good_end, "Reconciling": running, "Stalled": stage == Stage.FAILED,
        "Suspended": stage == Stage.SUSPENDED, "Complete": good_end, "Failed": stage == Stage.FAILED,
    }  # fmt: skip


def test_every_stage_has_its_row() -> None:
    assert set(STAGES) == set(Stage)


def test_what_was_reached_is_said() -> None:
    reached = {c.type: c for c in plan(seen(old=TRAINED, adapters={"chat-support": PUBLISHED}), SETTINGS).state.reached}
    assert set(reached) == {"Harvested", "Trained", "Evaluated", "Published"}
    assert reached["Harvested"].message == "500 read, 400 kept: support 400, legal 31"
    assert reached["Published"].message == "support: published"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({}, "Harvested", id="people judged answers"),
        pytest.param({"outside_signal": 0}, "NoOutsideSignal", id="nobody did"),
        pytest.param({"outside_signal": 0, "kept": 0}, "Harvested", id="there is nothing to judge"),
    ],
)
def test_learning_only_from_itself_is_warned_of(changes: dict[str, int], reason: str) -> None:
    old = HARVESTED.model_copy(update={"dataset": dataset(support=400).model_copy(update=changes)})
    harvested = next(c for c in plan(seen(old=old), SETTINGS).state.reached if c.type == "Harvested")
    assert (harvested.reason, "POST /v1/feedback" in harvested.message) == (reason, reason == "NoOutsideSignal")


def test_the_message_of_too_little_counts_by_domain() -> None:
    found = Report(dataset=dataset(support=31, legal=2))
    got = plan(seen(harvest=job("harvest", phase=Phase.COMPLETE, report=found)), SETTINGS)
    assert "no domain has 50 examples: support 31, legal 2" in got.state.message


def test_the_window_is_fixed_once_and_found_again_wherever_it_is_kept() -> None:
    config = json.dumps({"windowStart": "2026-01-01T00:00:00Z", "windowEnd": "2026-01-31T00:00:00Z"})
    found = plan(seen(harvest=job("harvest", config=config)), SETTINGS).window
    assert found == WindowStatus(from_="2026-01-01T00:00:00Z", to="2026-01-31T00:00:00Z")
    kept = plan(seen(old=FineTuneJobStatus(window=WINDOW), harvest=job("harvest", config=config)), SETTINGS).window
    assert kept == WINDOW


def test_the_revision_that_a_lora_adapter_made_is_noted_after_the_end() -> None:
    done = TRAINED.adapters[0].model_copy(update={"published": "Published"})
    old = TRAINED.model_copy(update={"stage": Stage.COMPLETE, "adapters": (done,)})
    revision = RevisionStatus(name="support-v3-aaaaaaaa", digest=digest("a"), uri="u", state=RevisionState.ACTIVE, since=UNTIL)
    got = plan(seen(old=old, adapters={"chat-support": replace(PUBLISHED, revisions=(revision,))}), SETTINGS)
    assert got.adapters[0].revision == "support-v3-aaaaaaaa"


def test_progress_is_written_at_most_every_five_seconds_unless_something_else_changed() -> None:
    world = seen(old=HARVESTED, train=job("train", running=True), train_progress=progress(stage="Training", loss="1.83"))
    first = status(world, plan(world, SETTINGS), {}, 1)
    assert first["progress"] == {"percent": 43, "estimatedRemainingSeconds": 212, "loss": "1.83", "updatedAt": "2026-11-23T12:00:00Z"}
    soon = replace(world, now=NOON + timedelta(seconds=2), train_progress=progress(stage="Training", loss="1.70"))
    second = status(soon, plan(soon, SETTINGS), first, 1)
    assert throttled(second, first, soon.now) == (first, 3.0)
    later = replace(soon, now=NOON + timedelta(seconds=6))
    third = status(later, plan(later, SETTINGS), first, 1)
    assert throttled(third, first, later.now) == (third, None)
    evaluating = replace(soon, train_progress=progress(stage="Evaluating"))
    fourth = status(evaluating, plan(evaluating, SETTINGS), first, 1)
    assert throttled(fourth, first, evaluating.now)[0]["stage"] == "Evaluating"


def test_the_end_is_stamped_once() -> None:
    world = seen(old=TRAINED, adapters={"chat-support": PUBLISHED})
    decided: Plan = plan(world, SETTINGS)
    first = status(world, decided, {}, 1)
    again = replace(world, now=NOON + timedelta(hours=1), old=FineTuneJobStatus.parse(first))
    assert status(again, plan(again, SETTINGS), first, 1) == first


def test_the_address_of_a_run_is_told_and_kept() -> None:
    reported = replace(COMPLETE_TRAIN, report=Report(adapters=(trained(),), run_url="https://runs/7"))
    first = seen(old=HARVESTED, train=reported)
    told = status(first, plan(first, SETTINGS), {}, 1)
    assert told["runUrl"] == "https://runs/7"
    later = seen(old=FineTuneJobStatus.parse(told, "status"), train=None)
    assert status(later, plan(later, SETTINGS), told, 1)["runUrl"] == "https://runs/7"
    assert "runUrl" not in status(seen(), plan(seen(), SETTINGS), {}, 1)


@pytest.mark.parametrize(
    ("ttl", "jobs", "want"),
    [
        pytest.param(None, {"train": COMPLETE_TRAIN}, None, id="Jobs stay"),
        pytest.param(3600, {}, None, id="there are none"),
        pytest.param(3600, {"train": replace(COMPLETE_TRAIN, owner=Owner.STRANGER)}, None, id="a stranger's stays"),
        pytest.param(3600, {"train": COMPLETE_TRAIN}, 1800.0, id="half of the time is over"),
        pytest.param(60, {"harvest": job("harvest", phase=Phase.COMPLETE)}, 0.0, id="it is time"),
    ],
)
def test_an_ended_job_is_looked_at_again_only_to_delete_its_jobs(ttl: int | None, jobs: dict[str, JobSnapshot], want: float | None) -> None:
    old = TRAINED.model_copy(update={"stage": Stage.COMPLETE, "completed_at": "2026-11-23T11:30:00Z"})
    world = seen({"ttlSecondsAfterFinished": ttl} if ttl is not None else {}, old=old, **jobs)
    assert seconds_to_expiry(world) == want
    assert plan(world, SETTINGS).actions == (tuple(DeleteJob(one) for one in jobs.values()) if want == 0 else ())


def test_only_ends_are_ends() -> None:
    ends = {stage.value for stage in Stage if is_end(stage.value)}
    assert ends == {"Complete", "InsufficientData", "Collected", "Rejected", "Inconclusive", "Failed"}
    assert not is_end(None)
    assert not is_end("Unheard")


def test_what_waits_for_kueue_says_so() -> None:
    waits = seen(old=HARVESTED, train=job("train", suspended=True, queued=True))
    assert plan(waits, SETTINGS).state.message == "Kueue has not admitted Job week-47-train yet"


def test_an_end_stays_said_when_its_jobs_cannot_be_deleted() -> None:
    old = TRAINED.model_copy(update={"stage": Stage.COMPLETE, "completed_at": UNTIL})
    decided = plan(seen({"ttlSecondsAfterFinished": 0}, old=old, train=COMPLETE_TRAIN), SETTINGS)
    assert decided.actions
    assert refused(decided, NotAllowed("DELETE: 403"), for_good=False) == replace(decided, actions=())


def test_a_pod_that_starts_is_told_of() -> None:
    starts = seen(old=HARVESTED, train=job("train", starting="pod p pulls its image on node b"))
    state = plan(starts, SETTINGS).state
    assert (state.reason, state.message) == ("Queued", "pod p pulls its image on node b")
