"""From the start of a training job to its first optimizer step, against `trl sft`: `make bench-start`.

Both are fresh processes on the same model folder, rows, LoRA and float32; the files are in the page cache for both. First the loss
of that step must be the same: both have then read, encoded and run the same tokens.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from builders_adapters import base_folder
from interleaved import medians
from report import lower_is_better, report
from training.lessons import dataset, job, lesson
from trlprocess import NAME, QUIET, in_its_environment
from tuneloop_contracts.dataset import TRAIN_FILE
from tuneloop_contracts.jobs import CONFIG_ENV, TrainConfig, Training

ROWS, ROUNDS, THREADS = 8, 5, 2
ANSWER = "Please send us the number of your order, and we will look at once where the parcel is."


@dataclass(frozen=True)
class StartCommand:
    """A command, and the line that it writes after its first step: the loss is in it."""

    command: list[str]
    environment: dict[str, str]
    line: re.Pattern[str]
    not_counted: float = 0.0
    """Seconds that are not the command's own."""

    def run(self) -> tuple[float, float]:
        """Seconds to that line, and the loss in it."""
        began = time.perf_counter()
        process = subprocess.Popen(
            self.command, env=os.environ | self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdout
        said = []
        try:
            for text in process.stdout:
                said.append(text)
                if found := self.line.search(text):
                    return time.perf_counter() - began - self.not_counted, float(found[1])
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # and what it started
            process.wait()
        raise AssertionError("".join(said))


def base_without_last_newline(folder: Path) -> Path:
    """What its template writes after the mark that ends an answer is never generated: we do not learn it, TRL would."""
    for file in base_folder().iterdir():
        (folder / file.name).symlink_to(file)
    template = folder / "chat_template.jinja"
    text = template.read_text(encoding="utf-8")
    changed = text.replace("'<|im_end|>' + '\n'}}", "'<|im_end|>' + ('' if loop.last and not add_generation_prompt else '\n')}}")
    assert changed != text
    template.unlink()
    template.write_text(changed, encoding="utf-8")
    return folder


def ours(config: TrainConfig) -> StartCommand:
    settings = {CONFIG_ENV: config.model_dump_json(by_alias=True), "OMP_NUM_THREADS": str(THREADS)}
    return StartCommand([sys.executable, "-m", "tuneloop_trainer", "train"], settings, re.compile(r"step 1/\d+ loss ([\d.]+)"))


def theirs(base: Path, rows: Path, folder: Path) -> StartCommand:
    command = [
        *in_its_environment(), "trl", "sft", "--model_name_or_path", str(base), "--dataset_name", str(rows), "--output_dir", str(folder),
        "--use_peft", "--lora_r", "16", "--lora_target_modules", "all-linear", "--bf16", "false", "--use_cpu", "--max_steps", "1",
        "--logging_steps", "1", "--save_strategy", "no", "--report_to", "none",
    ]  # fmt: skip
    settings = QUIET | {"PYTHONPATH": "", "OMP_NUM_THREADS": str(THREADS), "HF_DATASETS_CACHE": str(folder / "cache")}
    return StartCommand(command, settings, re.compile(r"'loss': '?([\d.]+)"), not_counted=uv_seconds())


def uv_seconds() -> float:
    """What `uv run` takes before it runs anything: its time is not TRL's."""
    began = time.perf_counter()
    for _ in range(ROUNDS):
        subprocess.run([*in_its_environment(), "true"], check=True)
    return (time.perf_counter() - began) / ROUNDS


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("base", "data", "rows", "theirs"):
            (folder / name).mkdir()
        data = dataset(folder / "data", lesson("support", ANSWER, train=ROWS, held_out=4))
        shutil.copy(folder / "data" / TRAIN_FILE, folder / "rows" / "train.jsonl")
        base = base_without_last_newline(folder / "base")
        one_step = Training(epochs=1, tokens_per_step=100_000, precision="Float32")
        starts = {
            "ours": ours(job(base, folder, data, training=one_step)),
            NAME: theirs(base, folder / "rows", folder / "theirs"),
        }
        losses = {name: start.run()[1] for name, start in starts.items()}
        assert abs(losses["ours"] - losses[NAME]) <= 0.01, losses
        print(f"the same first step: loss {losses['ours']:.2f} over {ROWS} rows")
        took = medians({name: lambda start=start: start.run()[0] for name, start in starts.items()}, ROUNDS)
        report("start", [lower_is_better("job start to first step, cold", "s", took["ours"], f"{NAME}, `trl sft`", took[NAME])])


if __name__ == "__main__":
    main()
