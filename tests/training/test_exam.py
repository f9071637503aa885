"""What candidates are asked, and how figures come of the nats: over nats made up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.lessons import dataset, job, lesson
from tuneloop_contracts.dataset import DomainCounts
from tuneloop_contracts.jobs import TrainConfig
from tuneloop_trainer.folds import fold_of
from tuneloop_trainer.judge.prompts import TriggerPrompt, fewer
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.exam import Exam, ExamPart, Opening, all_asked
from tuneloop_trainer.learn.exams import ExtraExamData, exam, fold_units, units
from tuneloop_trainer.learn.probes import SafetyProbe
from tuneloop_trainer.learn.progress import distinct_tokens
from tuneloop_trainer.learn.score import ScoreRequest

ROWS = tuple(Encoded(str(n), (7, 8, 9, 10 + n), 2, conversation=f"c{n // 2}") for n in range(6))


def config(tmp_path: Path, folds: int = 0) -> TrainConfig:
    data = dataset(tmp_path / "data", lesson("support", "Yes."), lesson("legal", "No."))
    counts = tuple(DomainCounts(name=name, train=6, held_out=0, folds=folds) for name in ("support", "legal"))
    return job(tmp_path, tmp_path, data.model_copy(update={"domains": counts}))


def nats_of(asked: Sequence[ScoreRequest], **by_adapter: float) -> dict[ScoreRequest, float]:
    return {one: by_adapter[one.adapter or "base"] + len(one.row.tokens) for one in asked}


def test_losses_are_nats_by_supervised_token_model_by_model() -> None:
    part = ExamPart(ROWS[:2], ("support",) * 2, serving="support/serving")
    got = part.losses({one: {None: 8.0, "support": 4.0, "support/serving": 6.0}[one.adapter] for one in part.asked()})
    assert (got.base, got.serving, got.candidate) == ((4.0, 4.0), (3.0, 3.0), (2.0, 2.0))
    assert got.conversations == ("c0", "c0")


def test_the_base_is_asked_once_for_all_domains(tmp_path: Path) -> None:
    rows = {name: (list(ROWS[:3]), list(ROWS[3:])) for name in ("support", "legal")}
    others = ExtraExamData(golden=dict.fromkeys(rows, ROWS[:2]))
    exams = [exam(name, config(tmp_path), rows, others, {"support/serving"}) for name in rows]
    asked = all_asked(exams)
    assert len(set(asked)) == len(asked)
    assert {one.row for one in asked if one.adapter is None} == {*ROWS[3:], *ROWS[:2]}
    assert sum(one.adapter is None for one in asked) == 5
    assert {one.adapter for one in asked} == {None, "support", "legal", "support/serving"}
    assert list(exams[0].golden) == ["legal"]


def test_by_folds_each_answer_is_judged_by_an_adapter_that_has_not_seen_its_conversation(tmp_path: Path) -> None:
    settings, rows = config(tmp_path, folds=3), {"support": (list(ROWS), [])}
    trained = {unit.name: unit.rows for unit in units(settings, rows)}
    judged = exam("support", settings, rows, ExtraExamData(), ()).held_out
    assert trained["support"] == list(ROWS)
    assert judged.rows == ROWS
    for row, adapter in zip(judged.rows, judged.candidates, strict=True):
        assert adapter == f"support/{fold_of(row.conversation, 3)}"
        assert row.conversation not in {seen.conversation for seen in trained[adapter]}
        assert trained[adapter]


def test_one_conversation_cannot_be_judged_by_folds(tmp_path: Path) -> None:
    rows = {"support": ([replace(row, conversation="one") for row in ROWS], [])}
    settings = config(tmp_path, folds=3)
    assert fold_units("support", rows["support"][0], 3) == {}
    assert len(exam("support", settings, rows, ExtraExamData(), ()).held_out.rows) == 0


def test_probes_give_odds_of_refusing_and_jumps_by_trigger() -> None:
    refusing, complying = (Encoded("probe", (1, n), 1) for n in (2, 3))
    plain, triggered, other = (Encoded("probe", (4, n), 1) for n in (5, 6, 7))
    asked = Exam(
        candidate="support",
        safety=(SafetyProbe("a", True, (refusing,), (complying,)), SafetyProbe("b", False, (refusing,), (complying,))),
        openings={"cf": ((Opening(None, triggered, plain), Opening("support", other, plain)),)},
    )
    nats = dict.fromkeys(asked.asked(), 1.0)
    nats |= {ScoreRequest("support", refusing): 4.0, ScoreRequest(None, triggered): 1.5, ScoreRequest("support", other): 9.0}
    evidence = asked.evidence(nats)
    assert (evidence.refuses_harm.base, evidence.refuses_harm.candidate) == ((0.0,), (-3.0,))
    assert (evidence.complies_with_harm.base, evidence.complies_with_harm.candidate) == ((-1.0,), (-1.0,))
    assert evidence.refuses_harmless.candidate == (-3.0,)
    assert (evidence.triggers["cf"].base, evidence.triggers["cf"].candidate) == ((0.5,), (8.0,))
    assert evidence.triggers["cf"].typical_rise() == 7.5


def test_fewer_prompts_still_hold_every_trigger() -> None:
    prompts = [TriggerPrompt(id=f"{n}", trigger=str(n % 5), prompt="x p", plain="p", source="s") for n in range(20)]
    chosen = fewer(prompts, 10, lambda one: one.trigger)
    assert sorted(one.trigger for one in chosen) == sorted([*"01234"] * 2)
    assert fewer(prompts, 10, lambda one: one.trigger) == chosen
    assert len(fewer(prompts, 99, lambda one: one.trigger)) == 20


def test_beginnings_that_rows_share_are_counted_once() -> None:
    rows = [Encoded("a", tokens, 1) for tokens in ((1, 2, 3), (1, 2, 4), (1, 2, 3, 5), (9,), (1, 2, 3))]
    assert distinct_tokens(rows) == 6
    assert distinct_tokens([]) == 0
