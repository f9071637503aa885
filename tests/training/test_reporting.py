import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ports import free_port
from training.receiver import Receiver, receiving
from tuneloop_contracts.jobs import PROGRESS_TOKEN_ENV, PROGRESS_URL_ENV
from tuneloop_contracts.progress import Fault, FaultReason, ProgressBody, Report
from tuneloop_trainer.reporting import REPORT_PATIENCE, Reporter
from waiting import wait_until

FAULT = Report(fault=Fault(reason=FaultReason.DIVERGED, message="the loss was no number"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def reporter(receiver: Receiver, tmp_path: Path) -> tuple[Reporter, Clock]:
    clock = Clock()
    (tmp_path / "token").write_text("secret-token\n")
    (tmp_path / "termination").touch()
    made = Reporter.from_env({PROGRESS_URL_ENV: receiver.url, PROGRESS_TOKEN_ENV: str(tmp_path / "token")})
    made.clock, made.sleep, made.termination_file = clock, clock.sleep, tmp_path / "termination"
    return made, clock


def test_progress_is_what_the_operator_parses(receiver: Receiver, tmp_path: Path) -> None:
    made, _ = reporter(receiver, tmp_path)
    made.progress("Training", 43.7, 212.4, loss="1.83", tokens_per_second="131")
    wait_until(lambda: bool(receiver.received), "it was posted")
    _, authorization, body = receiver.received[0]
    parsed = ProgressBody.model_validate(body)
    assert authorization == "Bearer secret-token"
    assert (parsed.trainer_status.progress_percentage, parsed.trainer_status.estimated_remaining_seconds) == (43, 212)
    assert [parsed.metric(name) for name in ("stage", "loss", "tokens_per_second")] == ["Training", "1.83", "131"]


def test_progress_is_throttled_but_a_new_stage_goes_out_at_once(receiver: Receiver, tmp_path: Path) -> None:
    made, clock = reporter(receiver, tmp_path)
    for stage, seconds in (("Training", 0), ("Training", 4.9), ("Training", 0.2), ("Evaluating", 0), ("Evaluating", 1)):
        clock.now += seconds
        made.progress(stage, 1)
        wait_until(lambda: made._sending is None or not made._sending.is_alive(), "it was posted")
    stages = [ProgressBody.model_validate(body).metric("stage") for body in receiver.bodies("progress")]
    assert stages == ["Training", "Training", "Evaluating"]


def test_what_it_waits_for_is_said(receiver: Receiver, tmp_path: Path) -> None:
    made, _ = reporter(receiver, tmp_path)
    made.waiting(FaultReason.REDIS_UNAUTHORIZED)
    wait_until(lambda: bool(receiver.received), "it was posted")
    assert ProgressBody.model_validate(receiver.received[0][2]).metric("waiting") == "RedisUnauthorized"


def test_the_report_comes_by_http_and_by_termination_message(receiver: Receiver, tmp_path: Path) -> None:
    made, _ = reporter(receiver, tmp_path)
    made.finish(FAULT)
    assert Report.model_validate(receiver.bodies("report")[0]) == FAULT
    assert Report.from_termination_message((tmp_path / "termination").read_text()) == FAULT


def test_the_report_is_tried_again_while_the_operator_restarts(receiver: Receiver, tmp_path: Path) -> None:
    made, clock = reporter(receiver, tmp_path)
    receiver.refusals = 5
    made.finish(FAULT)
    assert len(receiver.bodies("report")) == 1
    assert clock.now > 5


def test_without_an_operator_it_ends_within_a_minute_and_raises_nothing(tmp_path: Path) -> None:
    made, clock = reporter(Receiver(url=f"http://127.0.0.1:{free_port()}/progress"), tmp_path)
    made.progress("Training", 1)
    made.finish(FAULT)
    assert clock.now <= REPORT_PATIENCE
    assert (tmp_path / "termination").read_text()


def test_a_missing_token_file_raises_nothing(receiver: Receiver, tmp_path: Path) -> None:
    made, _ = reporter(receiver, tmp_path)
    (tmp_path / "token").unlink()
    made.progress("Training", 1)
    made.finish(FAULT)
    assert receiver.received == []


def test_outside_kubernetes_nothing_is_sent(tmp_path: Path) -> None:
    made = Reporter(termination_file=tmp_path / "none")
    made.progress("Training", 1)
    made.finish(FAULT)
    assert made._sending is None
    assert not (tmp_path / "none").exists()


def test_an_answer_that_is_no_http_raises_nothing(tmp_path: Path) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    made, clock = reporter(Receiver(url=f"http://127.0.0.1:{listening.getsockname()[1]}/progress"), tmp_path)

    def answer_once() -> None:
        with listening, listening.accept()[0] as asked:
            asked.recv(65536)
            asked.sendall(b"SSH-2.0-nonsense\r\n")

    answering = threading.Thread(target=answer_once)
    answering.start()
    made.finish(FAULT)
    answering.join()
    assert 0 < clock.now <= REPORT_PATIENCE
