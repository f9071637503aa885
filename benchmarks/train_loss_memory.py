"""Memory that the loss takes beside the model: 2,048 supervised tokens over a vocabulary of 151,936, forward and backward.

The peer is what transformers' Trainer computes on a PEFT model: all logits, then its own causal language model loss.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from transformers.loss.loss_utils import ForCausalLMLoss

from report import lower_is_better, report
from tuneloop_trainer.learn.loss import token_nats

TOKENS, WIDTH, VOCABULARY = 2048, 896, 151_936
"""Of Qwen2.5-0.5B."""


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(0)
    weight = 0.02 * torch.randn(VOCABULARY, WIDTH, generator=drawn)
    hidden = torch.randn(TOKENS, WIDTH, generator=drawn).requires_grad_()
    return hidden, weight, torch.randint(VOCABULARY, (TOKENS,), generator=drawn)


def ours(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return token_nats(hidden, weight, None, targets).mean()


def trainers(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = torch.nn.functional.linear(hidden, weight)[None]
    loss: torch.Tensor = ForCausalLMLoss(logits, targets[None], VOCABULARY, shift_labels=targets[None])
    return loss


WAYS = {"ours": ours, "Trainer": trainers}


def measure(way: str) -> None:
    """In a process of its own: the peak of memory over what there was, less the gradient that must remain."""
    torch.set_num_threads(2)
    hidden, weight, targets = inputs()
    torch.mm(hidden.detach()[:1], weight.t())  # the library's own memory, before we count
    before = _kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    loss = WAYS[way](hidden, weight, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    extra = (_kilobytes("VmHWM") - before) / 1024 - hidden.grad.nbytes / 2**20
    gradient = hidden.grad.double()
    print(json.dumps({"extra": extra, "loss": loss.item(), "gradient": gradient.norm().item(), "first": gradient[0, :8].tolist()}))


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    found = {}
    for way in WAYS:
        printed = subprocess.run([sys.executable, __file__, way], check=True, capture_output=True, text=True).stdout
        found[way] = json.loads(printed.splitlines()[-1])
    for figure in ("loss", "gradient", "first"):
        torch.testing.assert_close(torch.tensor(found["ours"][figure]), torch.tensor(found["Trainer"][figure]), rtol=1e-4, atol=1e-9)
    print(f"loss {found['ours']['loss']:.6f} on both sides, and the same gradient")
    extra = {way: found[way]["extra"] for way in WAYS}
    report(
        "train-loss-memory",
        [
            lower_is_better("2,048 tokens x 151,936 (goal 64)", "MB", extra["ours"], "transformers Trainer + PEFT", extra["Trainer"]),
            lower_is_better("the goal itself", "MB", extra["ours"], "64 MB", 64),
        ],
    )


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
