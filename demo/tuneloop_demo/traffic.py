"""The questions through the `openai` SDK, as any client sends them, and the human answers back as corrections."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import httpx
from openai import OpenAI

from tuneloop_demo.questions import Question

AT_ONCE = 8
"""Requests in flight per replica: one batch of the server."""


@dataclass(frozen=True)
class Answer:
    question: Question
    text: str
    interaction: str
    adapter: str
    cache: str


class Replica:
    """One server pod behind a tunnel."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._openai = OpenAI(base_url=f"{url}/v1", api_key="none", timeout=600, max_retries=0)  # a lost request is to be seen

    def ask(self, question: Question, *, model: str, max_tokens: int) -> Answer:
        """Greedy, at most `max_tokens` new tokens."""
        raw = self._openai.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": question.text}], temperature=0, max_tokens=max_tokens
        )
        headers, text = raw.headers, raw.parse().choices[0].message.content or ""
        return Answer(question, text, headers["x-interaction-id"], headers["x-adapter"], headers["x-cache"])

    def close(self) -> None:
        self._openai.close()

    def correct(self, answer: Answer) -> None:
        """What a person would have answered: this is what gets trained."""
        body = {"interaction_id": answer.interaction, "rating": "down", "correction": answer.question.answer}
        httpx.post(f"{self.url}/v1/feedback", json=body, timeout=30).raise_for_status()


def send(
    replicas: Sequence[Replica], questions: Sequence[tuple[str, Question]], *, max_tokens: int, progress: Callable[[int, int], None]
) -> list[Answer]:
    """Ask every (model, question), spread over the replicas, and correct every answer."""

    def turn(number: int) -> Answer:
        replica, (model, question) = replicas[number % len(replicas)], questions[number]
        answer = replica.ask(question, model=model, max_tokens=max_tokens)
        replica.correct(answer)
        return answer

    answers = []
    with ThreadPoolExecutor(AT_ONCE * len(replicas)) as pool:
        turns = [pool.submit(turn, number) for number in range(len(questions))]
        try:
            for done in as_completed(turns):
                answers.append(done.result())
                progress(len(answers), len(questions))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the first failure ends it, not the last question
            raise
    return answers
