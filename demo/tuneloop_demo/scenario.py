"""What the demo asks and trains, and what it must get."""

import time
from collections.abc import Sequence

from tuneloop_contracts.names import GROUP, VERSION
from tuneloop_demo import kube, questions
from tuneloop_demo.follow import StatusLine
from tuneloop_demo.installation import Installation
from tuneloop_demo.questions import Question
from tuneloop_demo.traffic import Replica, send

PER_DOMAIN = 110
NEW_TOKENS = 24
ROW_TOKENS = 128
EPOCHS = 1
LEARNING_RATE = 0.0005
"""Five times the default: one epoch of a hundred rows is a handful of steps."""
TOKENS_PER_STEP = 512
TRAINED = ("technical", "general")
SHORT = "legal"

SETTINGS = (
    f"settings smaller than the defaults: answers of at most {NEW_TOKENS} new tokens, rows of at most {ROW_TOKENS} tokens, "
    f"{EPOCHS} epoch (default 3), learning rate {LEARNING_RATE} (default 0.0001), {TOKENS_PER_STEP} tokens a step (default 8192)"
)


class DemoFailed(Exception):
    """The demo did not get what it promises; the message says what it got."""


def real_questions() -> list[tuple[str, Question]]:
    """(model, question): applications that know their domain name it, the rest ask for `auto`."""
    faq = questions.technical()
    legal = [q for q in faq if "copyright" in q.text.lower() or "license" in q.text.lower()]
    technical = [q for q in faq if q not in legal][:PER_DOMAIN]
    general = questions.general()[:PER_DOMAIN]
    return [*(("technical", q) for q in technical), *(("auto", q) for q in general), *((SHORT, q) for q in legal)]


def chat(servers: Sequence[Replica], asked: Sequence[tuple[str, Question]]) -> float:
    """Seconds it took to ask and correct them all."""
    line, started = StatusLine(), time.monotonic()

    def progress(done: int, total: int) -> None:
        line.show(f"{done} of {total} answered and corrected, {time.monotonic() - started:.0f} s", last=done == total)

    send(servers, asked, max_tokens=NEW_TOKENS, progress=progress)
    return time.monotonic() - started


def finetune_job(name: str, domains: Sequence[str], *, target: str) -> kube.Manifest:
    training = {"epochs": EPOCHS, "learningRate": LEARNING_RATE, "maxSequenceLength": ROW_TOKENS, "tokensPerStep": TOKENS_PER_STEP}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "FineTuneJob",
        "metadata": {"name": name},
        "spec": {"targetRef": {"name": target}, "data": {"domains": list(domains)}, "training": training},
    }


def published(job: kube.Manifest) -> list[str]:
    """The domains whose adapter passed the gate; there must be one."""
    domains = [adapter["domain"] for adapter in job["status"].get("adapters", []) if adapter["verdict"] == "Promote"]
    if not kube.is_true(job, "Complete") or not domains:
        raise DemoFailed(f"no adapter was published: {kube.condition(job, 'Ready')}")
    return domains


def expect_insufficient(job: kube.Manifest, installation: Installation) -> None:
    complete = kube.condition(job, "Complete")
    trained = installation.job_pods(job["metadata"]["name"], "train")
    if complete.get("reason") != "InsufficientData" or trained:
        raise DemoFailed(f"expected InsufficientData and no training pod, got {complete} and {len(trained)} pods")
    print(f"  {complete['reason']}: {complete['message']}")
