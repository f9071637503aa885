"""`make demo`: ask, record, train, judge, swap, answer. Needs KUBECONFIG, and the chart installed with its quickstart."""

import sys
import time
from datetime import datetime

from openai import OpenAIError

from tuneloop_demo import kube, scenario, table
from tuneloop_demo.installation import Installation
from tuneloop_demo.questions import NotInstalled, Question
from tuneloop_demo.swap import watch_swaps
from tuneloop_demo.traffic import Replica

BASE = "smollm2-135m-instruct"


def main() -> int:
    started, installation, name = time.monotonic(), Installation(), f"demo-{datetime.now():%m%d-%H%M%S}"
    print(scenario.SETTINGS)
    say("waiting for two replicas of the model, and for the operator to find them healthy")
    installation.wait_until_served()
    before = installation.lives()
    with installation.replicas() as servers:
        asked = scenario.real_questions()
        say(f"{len(asked)} real questions to SmolLM2-135M on {len(servers)} replicas, each answer corrected by the human one")
        seconds = {"questions answered and corrected": scenario.chat(servers, asked)}

        say(f"FineTuneJob {name}: {' and '.join(scenario.TRAINED)}")
        pods = [pod["metadata"]["name"] for pod in installation.server_pods()]
        with watch_swaps(installation.target, pods, namespace=installation.namespace) as times:
            job, timeline = installation.train(scenario.finetune_job(name, scenario.TRAINED, target=installation.target))
            domains = scenario.published(job)
            revisions = installation.wait_until_swapped(servers, domains)
        seconds |= {f"manifest changed -> {revision} loaded on {len(pods)} replicas": times.seconds(revision) for revision in revisions}

        say(f"FineTuneJob {name}-short: {scenario.SHORT}, of which there is too little")
        short, _ = installation.train(scenario.finetune_job(f"{name}-short", [scenario.SHORT], target=installation.target))
        scenario.expect_insufficient(short, installation)

        show_side_by_side(servers[0], next(q for model, q in asked if model in (domains[0], "auto")), domains[0])
    if installation.lives() != before:
        raise scenario.DemoFailed("a server pod was restarted or replaced")

    say("what came of it; no server pod was restarted")
    job = kube.get("finetunejob", name, namespace=installation.namespace)  # its adapters have their revisions' names by now
    print(table.by_domain(job), table.by_stage(timeline, seconds), sep="\n\n")
    print(f"\ndone in {time.monotonic() - started:.0f} s. Look around with: kubectl get itgt,ftj,lora -n {installation.namespace}")
    return 0


def show_side_by_side(server: Replica, question: Question, domain: str) -> None:
    say(f"one question, answered by the base and by the adapter of {domain}")
    print(f"  question  {question.text}\n  people    {question.answer}")
    for label, model in (("base", BASE), ("adapter", domain)):
        answer = server.ask(question, model=model, max_tokens=2 * scenario.NEW_TOKENS)
        print(f"  {label:<9} {answer.text.strip()}  [{answer.adapter}]")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (kube.CommandFailed, scenario.DemoFailed, NotInstalled, TimeoutError, OpenAIError) as broken:
        sys.exit(f"demo: {broken}")
