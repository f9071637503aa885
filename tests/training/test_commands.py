"""The commands as pods and people run them: processes of their own."""

import errno
import json
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from safetensors import SafetensorError

from redisserver import RedisServer
from training.command import command, environment
from training.lessons import dataset, job, lesson
from training.receiver import Receiver
from training.traffic import TARGET, record, write
from tuneloop_contracts.adapters import adapter_digest
from tuneloop_contracts.domains import DEFAULT_DOMAINS
from tuneloop_contracts.jobs import CONFIG_ENV, EXIT_TRY_LATER, PROGRESS_TOKEN_ENV, PROGRESS_URL_ENV, HarvestConfig, Training
from tuneloop_contracts.progress import Fault, FaultReason, ProgressBody, Report
from tuneloop_trainer.__main__ import _guarded


def harvest_env(url: str, folder: Path, receiver: Receiver, **changes: object) -> dict[str, str]:
    now = datetime.now(UTC)
    config = HarvestConfig(
        job="chat/week-47", job_uid="0123456789abcdef", target=TARGET, window_start=(now - timedelta(days=1)).isoformat(),
        window_end=now.isoformat(), domains=DEFAULT_DOMAINS, datasets_uri=f"file://{folder}/datasets",
    ).model_copy(update=changes)  # fmt: skip
    (folder / "token").write_text("secret-token")
    reporting = {PROGRESS_URL_ENV: receiver.url, PROGRESS_TOKEN_ENV: str(folder / "token")}
    return {CONFIG_ENV: config.model_dump_json(by_alias=True), "REDIS_URL": url, **reporting}


def test_no_torch_on_the_harvests_way() -> None:
    modules = "__main__", "commands", "harvest.collect", "inspection", "run", "forget.command", "chat_files"
    code = "import sys;" + ";".join(f"import tuneloop_trainer.{name}" for name in modules)
    code += ";print([name for name in ('torch', 'transformers', 'peft', 'jinja2') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["harvest", "train", "run", "inspect", "redact", "classify", "forget", "import", "export"])
def test_every_command_explains_itself(name: str) -> None:
    done = command(name, "--help")
    assert done.returncode == 0
    assert "exit codes: 0 done, 2 needs an edit" in done.stdout


def test_an_unknown_option_needs_an_edit() -> None:
    assert command("run", "--target", "a/b").returncode == 2


def test_harvest_reports_its_dataset(redis_url: str, tmp_path: Path, receiver: Receiver) -> None:
    write(redis_url, (record(n) for n in range(60)), at=datetime.now(UTC) - timedelta(hours=1))
    done = command("harvest", **harvest_env(redis_url, tmp_path, receiver))
    assert done.returncode == 0, done.stderr
    report = Report.model_validate(receiver.bodies("report")[0])
    assert report.dataset
    assert (report.dataset.read, report.dataset.trainable) == (60, ("support",))
    assert {authorization for _, authorization, _ in receiver.received} == {"Bearer secret-token"}
    assert ProgressBody.model_validate(receiver.bodies("progress")[0]).metric("stage") == "Harvesting"


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        pytest.param({"selected": ("sales",)}, FaultReason.UNKNOWN_DOMAIN, id="unknown domain"),
        pytest.param({"held_out": 2.0}, FaultReason.INVALID_CONFIG, id="invalid"),
    ],
)
def test_harvest_that_needs_an_edit(
    changes: dict[str, object], want: FaultReason, redis_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    done = command("harvest", **harvest_env(redis_url, tmp_path, receiver, **changes))
    assert done.returncode == 2
    fault = Report.model_validate(receiver.bodies("report")[0]).fault
    assert fault
    assert fault.reason is want
    assert str(want) in done.stderr


MISTAKEN = """
import sys
from tuneloop_trainer.__main__ import main
from tuneloop_trainer.harvest.collect import Harvest

def run(self, url, *, now):
    raise KeyError(url)

Harvest.run = run
sys.exit(main(["harvest"]))
"""


def test_a_mistake_of_ours_is_told_without_its_text(tmp_path: Path, receiver: Receiver) -> None:
    env = environment(**harvest_env("redis://:hunter2@localhost", tmp_path, receiver))
    done = subprocess.run([sys.executable, "-c", MISTAKEN], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    fault = Report.model_validate(receiver.bodies("report")[0]).fault
    assert fault
    assert fault.reason is FaultReason.INTERNAL
    assert "KeyError" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr + json.dumps(receiver.received)


def test_a_locked_redis_is_waited_for_and_the_password_appears_nowhere(tmp_path: Path, receiver: Receiver) -> None:
    server = RedisServer(password="right-one").start()
    try:
        env = environment(**harvest_env(server.url.replace("right-one", "hunter2"), tmp_path, receiver))
        process = subprocess.Popen(
            [sys.executable, "-m", "tuneloop_trainer", "harvest"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout
        said = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        said += process.communicate(timeout=10)[0]
    finally:
        server.stop()
    assert process.returncode == 143
    assert "waiting: Redis refuses the user or the password" in said
    assert "hunter2" not in said + json.dumps(receiver.received)


def test_train_in_two_processes_gives_one_digest_and_then_nothing_is_trained(tiny_base: Path, tmp_path: Path, receiver: Receiver) -> None:
    data = dataset(tmp_path / "data", lesson("support", "It is under the stairs."))
    quick = Training(epochs=3, learning_rate=2e-2, max_sequence_length=128, tokens_per_step=256)
    config = job(tiny_base, tmp_path, data, training=quick)
    elsewhere = config.model_copy(update={"adapters_uri": f"file://{tmp_path}/elsewhere"})
    digests = []
    for seed, wanted in (("1", config), ("2", elsewhere), ("3", config)):
        env = {CONFIG_ENV: wanted.model_dump_json(by_alias=True), PROGRESS_URL_ENV: receiver.url, "PYTHONHASHSEED": seed}
        done = command("train", **env)
        assert done.returncode == 0, done.stderr
        (adapter,) = Report.model_validate(receiver.bodies("report")[-1]).adapters
        assert adapter_digest(Path(adapter.uri.removeprefix("file://"))) == adapter.digest
        digests.append(adapter.digest)
        assert ("already there" in done.stderr) == (seed == "3")
    assert len(set(digests)) == 1
    stages = {ProgressBody.model_validate(body).metric("stage") for body in receiver.bodies("progress")}
    assert stages <= {"Training", "Evaluating", "Publishing"}


def test_sigterm_ends_a_training_at_once(tiny_base: Path, tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", lesson("support", "It is under the stairs."))
    config = job(tiny_base, tmp_path, data, training=Training(epochs=100_000, tokens_per_step=256))
    process = subprocess.Popen(
        [sys.executable, "-m", "tuneloop_trainer", "train"], env=environment(**{CONFIG_ENV: config.model_dump_json(by_alias=True)}),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(240, process.kill)
    watchdog.start()
    assert process.stderr
    line = next(line for line in process.stderr if "step 1/" in line)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    watchdog.cancel()
    assert re.search(r"support: step 1/\d+ loss \d+\.\d\d \d+ tok/s ETA ", line)
    assert process.returncode == 143
    assert not (tmp_path / "adapters" / "support").exists()


def test_run_goes_from_redis_to_adapters_and_ends_with_a_table(tiny_base: Path, tmp_path: Path) -> None:
    server = RedisServer(password="hunter2").start()
    at = datetime.now(UTC) - timedelta(hours=1)
    try:
        write(server.url, [*(record(n, answer="Blue.") for n in range(30)), *(record(100 + n, "legal") for n in range(5))], at=at)
        options = ["--target", TARGET, "--base-model", str(tiny_base), "--out", str(tmp_path / "out"), "--min-examples", "20"]
        options += ["--min-held-out", "8"]
        sizes = ["--epochs", "2", "--learning-rate", "2e-2", "--max-sequence-length", "96", "--tokens-per-step", "256"]
        followed = {"MLFLOW_TRACKING_URI": f"file://{tmp_path}/runs", "MLFLOW_ALLOW_FILE_STORE": "true"}
        done = command("run", *options, *sizes, REDIS_URL=server.url, **followed)
        short = command("run", *options, "--domains", "legal", REDIS_URL=server.url)
        shown = command("inspect", "--redis", server.url)
        as_json = command("inspect", "--json", REDIS_URL=server.url)
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    promoted = r"^support +19\+8 +\d+\.\d+ -> \d+\.\d+ +Promote +/.*/out/adapters/support/sha256-[0-9a-f]{64}$"
    assert re.search(promoted, done.stdout, re.MULTILINE)
    assert re.search(r"^legal +\d\+\d +- +InsufficientData +-$", done.stdout, re.MULTILINE)
    assert list((tmp_path / "runs").glob("*/*/metrics/support/loss")), "a run tracker is told as it is by a Job"
    assert short.returncode == 0
    assert short.stdout.startswith("InsufficientData: no domain has 20 examples: legal 5; record more, or try a larger --window-days ")
    assert "nothing is recorded" not in short.stdout
    assert "leak" not in done.stderr, "triton's page at the end of a process"
    assert "chat/chat-llm  (shards: 1; records by domain: legal 5, support 30)" in shown.stdout
    assert re.search(r"^total +1 +35 +0 +0$", shown.stdout, re.MULTILINE)
    (target,) = json.loads(as_json.stdout)
    assert target["domains"] == {"legal": 5, "support": 30}
    assert sum(day["entries"] for day in target["days"]) == 35
    assert "hunter2" not in "".join(one.stdout + one.stderr for one in (done, short, shown, as_json))


def test_a_run_that_is_stopped_is_gone_on_with_by_the_same_command(tiny_base: Path, tmp_path: Path) -> None:
    server = RedisServer().start()
    options = ["--target", TARGET, "--base-model", str(tiny_base), "--out", str(tmp_path), "--min-examples", "20", "--min-held-out", "8"]
    options += ["--epochs", "100000", "--max-sequence-length", "96", "--tokens-per-step", "256"]
    try:
        write(server.url, [record(n, answer="Blue.") for n in range(30)], at=datetime.now(UTC) - timedelta(hours=1))
        first = stopped_when("step 1/", "run", *options, REDIS_URL=server.url)
        again = stopped_when("goes on where", "run", *options, REDIS_URL=server.url)
    finally:
        server.stop()
    assert "is already there" not in first
    assert re.search(r"goes on with the run of .*harvest: .* is already there.*goes on where .* at steps support \d+/", again, re.DOTALL)
    assert len(list((tmp_path / "datasets" / "chat").glob("run-*"))) == 1


def stopped_when(said: str, *arguments: str, **env: str) -> str:
    """What the command wrote until then, and that SIGTERM let it keep what it had."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tuneloop_trainer", *arguments], env=environment(**env), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(240, process.kill)
    watchdog.start()
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if said in line:
            break
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]
    watchdog.cancel()
    assert process.returncode == 143, [*lines, rest]
    assert "is kept, and the pod ends" in rest
    return "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "code", "want"),
    [
        pytest.param(["--rank", "0", "--learning-rate", "0"], 2, "lora.rank: 0 is not at least 1; training.learningRate", id="all faults"),
        pytest.param(["--base-model", "/nowhere"], 2, "BaseModelNotFound", id="no base"),
        pytest.param(["--base-model", "file:///nowhere"], 2, "BaseModelNotFound: file:///nowhere: no config.json", id="no base at a URI"),
        pytest.param(["--base-model", "hf://not/a/name"], 2, "hf://not/a/name: the hub says", id="no such name in a hub"),
        pytest.param(["--base-model", "gs://bucket/base"], 2, "'gs://bucket/base' is not", id="no such scheme"),
        pytest.param(["--domains", "sales"], 2, "UnknownDomain", id="no such domain"),
        pytest.param(["--redis", "nonsense"], 2, "REDIS_URL", id="no URL"),
        pytest.param(["--window-days", "nan"], 2, "--window-days: nan is not above 0 and at most 36500", id="no days"),
        pytest.param(["--window-days", "1e9"], 2, "--window-days: 1e9 is not above 0", id="before there were dates"),
    ],
)
def test_run_says_what_is_wrong_before_it_begins(arguments: list[str], code: int, want: str, tiny_base: Path, tmp_path: Path) -> None:
    options = ["--redis", "redis://127.0.0.1:1", "--target", TARGET, "--base-model", str(tiny_base), "--out", str(tmp_path)]
    done = command("run", *options, *arguments)
    assert (done.returncode, want in done.stderr) == (code, True), done.stderr


def test_inspect_of_a_redis_that_is_away_or_empty(redis_url: str) -> None:
    assert command("inspect", "--redis", "redis://:hunter2@127.0.0.1:1").returncode == 1
    assert command("inspect", REDIS_URL=redis_url).stdout == "no target has recorded anything here\n"
    assert command("inspect", "--target", "chat/other", REDIS_URL=redis_url).stdout == "chat/other has recorded nothing here\n"


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), SafetensorError("I/O error: No space left on device (os error 28)")],
    ids=["Python's", "safetensors'"],
)
def test_a_full_disk_of_the_pods_own_is_named_with_what_to_do(error: Exception) -> None:
    def work() -> int:
        raise error

    told: list[Fault] = []
    assert _guarded(work, told.append) == EXIT_TRY_LATER
    assert told[0].reason is FaultReason.STORE_UNAVAILABLE
    assert "TMPDIR" in told[0].message
