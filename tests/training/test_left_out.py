"""What no training uses of torch is not imported for it; the rest is as it was."""

import subprocess
import sys

import pytest

from training.command import environment

IMPORTED = """
import sys
from tuneloop_trainer.learn.left_out import leave_out
leave_out(alone=True, quantized=False)
import tuneloop_trainer.learn.job
import torch
torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], fused=True)
"""


def said(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", IMPORTED + code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_neither_compiler_nor_algebra_nor_sharded_tensors_are_imported() -> None:
    names = ("torch._inductor", "torch.distributed.tensor", "sympy", "bitsandbytes")
    assert said(f"print([name for name in {names} if sys.modules.get(name)])") == "[]"


@pytest.mark.filterwarnings("ignore")
def test_the_compiler_is_there_for_whoever_asks() -> None:
    assert said("print(torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)).item())") == "2.0"
