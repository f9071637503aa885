"""The gateway in front of a real vLLM: the same promises as with the engine in the same process."""

from pathlib import Path

import pytest

from bad_adapters import BAD, BEFORE_LOADING
from constanttraffic import traffic
from greedy import Said, greedy
from serverprocess import BASE, ServerProcess, named, revision
from tuneloop_contracts.manifest import ManifestAdapter
from tuneloop_contracts.pods import AdapterState
from vllmprocess import CONTEXT, START_DEADLINE, VllmProcess

pytestmark = [pytest.mark.model, pytest.mark.timeout(2 * START_DEADLINE)]

TOKENS = 16
QUESTIONS = (
    "How do I undo the last commit in git?",
    "My parcel has not arrived. I ordered it two weeks ago, and the tracking page still says that it is on its way. What can I do?",
    "Olá! Como peço o reembolso de uma fatura?",
)


@pytest.fixture(scope="session")
def by_base() -> list[Said]:
    return greedy(QUESTIONS, TOKENS)


def text_of(server: ServerProcess, model: str, question: str, **fields: object) -> str:
    answer = server.ask(model, question, **({"max_tokens": TOKENS, "headers": {"X-Record": "no"}} | fields))  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def serve_one(server: ServerProcess, folder: Path, number: int = 1) -> ManifestAdapter:
    support = revision(folder, "support", number, seed=number)
    server.serve(support, routes={"support": support.name})
    entry = server.entry(support.name)
    assert entry
    assert entry.state is AdapterState.LOADED, entry
    return support


def test_the_base_says_what_transformers_says(server: ServerProcess, by_base: list[Said]) -> None:
    for question, said in zip(QUESTIONS, by_base, strict=True):
        assert said.agrees_with(text_of(server, BASE, question))


def test_an_adapter_says_what_peft_says(server: ServerProcess, vllm: VllmProcess, adapters: Path, by_base: list[Said]) -> None:
    support = serve_one(server, adapters)
    answers = [text_of(server, "support", question) for question in QUESTIONS]
    by_peft = greedy(QUESTIONS, TOKENS, adapters / "support-1")
    assert [said.agrees_with(answer) for said, answer in zip(by_peft, answers, strict=True)] == [True] * len(QUESTIONS)
    assert not all(said.agrees_with(answer) for said, answer in zip(by_base, answers, strict=True))
    (name,) = vllm.adapters()
    assert name.startswith(support.name)
    entry = server.entry(support.name)
    assert entry
    assert entry.probe
    assert entry.probe.max_logit_delta > 0.1


def test_a_stream_says_the_same_and_counts_the_same(server: ServerProcess) -> None:
    stream = server.client().chat.completions.create(
        model=BASE, messages=[{"role": "user", "content": QUESTIONS[2]}], temperature=0, max_tokens=TOKENS, stream=True,
        stream_options={"include_usage": True}, extra_headers={"X-Record": "no"},
    )  # fmt: skip
    chunks = list(stream)
    whole = server.ask(BASE, QUESTIONS[2], max_tokens=TOKENS)
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        == (whole.json()["choices"][0]["message"]["content"])
    )
    assert whole.headers["X-Cache"] == "hit-exact"
    assert chunks[-1].usage
    assert chunks[-1].usage.model_dump(include={"prompt_tokens", "completion_tokens"}) == {
        name: whole.json()["usage"][name] for name in ("prompt_tokens", "completion_tokens")
    }
    assert len(chunks) > 4, "piece by piece, not at once"


def test_stop_sequences_and_seeds(server: ServerProcess) -> None:
    full = text_of(server, BASE, "List three fruits.")
    stop = full[len(full) // 2 :][:4]
    assert text_of(server, BASE, "List three fruits.", stop=[stop]) == full[: full.index(stop)]
    warm = {"temperature": 1.5, "seed": 7, "max_tokens": 8}
    assert text_of(server, BASE, "Invent a name for a cat.", **warm) == text_of(server, BASE, "Invent a name for a cat.", **warm)


def test_a_prompt_beyond_the_context_is_refused_and_a_long_answer_cut_at_it(server: ServerProcess) -> None:
    refused = server.ask(BASE, "word " * CONTEXT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")
    cut = server.ask(BASE, "word " * (CONTEXT - 40), max_tokens=64, temperature=0.7).json()
    assert cut["usage"]["total_tokens"] <= CONTEXT
    assert cut["choices"][0]["finish_reason"] in ("length", "stop")


def test_swaps_under_constant_traffic_fail_nobody(server: ServerProcess, vllm: VllmProcess, adapters: Path) -> None:
    one, two = (revision(adapters, "support", number, seed=number) for number in (1, 2))
    server.serve(one, routes={"support": one.name})
    with traffic(server, QUESTIONS[0], "support", "auto", BASE) as seen:
        server.serve(one, two, routes={"support": one.name})
        server.serve(one, two, routes={"support": two.name})
        server.serve(two, routes={"support": two.name})
        count = len(seen())
        server.wait_until(lambda: len(seen()) >= count + 6, "traffic goes on")
    assert {status for status, _ in seen()} == {200}
    assert {adapter for _, adapter in seen()} == {"base", one.name, two.name}
    assert [name.startswith(two.name) for name in vllm.adapters()] == [True]


def test_a_stream_keeps_its_adapter_to_the_end_and_then_it_is_unloaded(server: ServerProcess, vllm: VllmProcess, adapters: Path) -> None:
    old = serve_one(server, adapters)
    whole = text_of(server, "support", QUESTIONS[1], max_tokens=48)
    stream = server.client().chat.completions.create(
        model="support", messages=[{"role": "user", "content": QUESTIONS[1]}], temperature=0, max_tokens=48, stream=True,
        seed=1,  # another key of the cache
    )  # fmt: skip
    words = [next(stream), next(stream)]
    server.apply()
    server.wait_until(lambda: (entry := server.entry(old.name)) is not None and entry.state is AdapterState.DRAINING, "it drains")
    assert len(vllm.adapters()) == 1
    folder = Path(next(iter(vllm.adapters().values())))
    assert folder.is_dir()
    words += list(stream)
    assert "".join(word.choices[0].delta.content or "" for word in words) == whole
    server.wait_until(lambda: server.entry(old.name) is None, "the old one is gone")
    assert vllm.adapters() == {}
    assert not folder.exists()


def test_a_client_that_hangs_up_is_forgotten_by_vllm(server: ServerProcess, vllm: VllmProcess) -> None:
    before = vllm.measured("vllm:generation_tokens_total")
    stream = server.client().chat.completions.create(
        model=BASE, messages=[{"role": "user", "content": QUESTIONS[1]}], temperature=0.3, max_tokens=64, stream=True
    )
    words = [next(stream), next(stream)]
    assert words[1].choices[0].delta.content
    stream.close()
    server.wait_until(lambda: vllm.requests() == 0, "vLLM has nothing to do")
    assert vllm.measured("vllm:generation_tokens_total") - before < 60, "not because it came to the end"
    assert server.metric("vllm:num_requests_running") == 0


def test_bad_adapters_are_refused_before_vllm_sees_them(server: ServerProcess, vllm: VllmProcess, adapters: Path) -> None:
    """All but those two that only computing shows; none disturbs the good one's traffic, and the next good one loads."""
    good = serve_one(server, adapters)
    bad = {named(adapters / f"bad-{n}", "legal", n + 1, kind.make(adapters / f"bad-{n}")): kind for n, kind in enumerate(BAD)}
    with traffic(server, QUESTIONS[0], "support") as seen:
        server.serve(good, *bad, routes={"support": good.name}, max_loaded_adapters=99)
        said = {report.name: (report.state, report.reason) for report in server.report().adapters}
        assert {adapter.name: said[adapter.name] for adapter in bad} == {
            adapter.name: (AdapterState.FAILED, kind.fault) for adapter, kind in bad.items()
        }
        better = revision(adapters, "support", 2, seed=2)
        server.serve(good, better, *bad, routes={"support": better.name}, max_loaded_adapters=99)
        server.wait_until(lambda: (200, better.name) in seen(), "the next good one answers")
    assert set(seen()) == {(200, good.name), (200, better.name)}
    never = [adapter.name for adapter, kind in bad.items() if kind in BEFORE_LOADING]
    assert len(never) > 30
    assert [name for name in never if name in vllm.log()] == []
    assert len(vllm.adapters()) == 2


def test_a_gateway_that_restarts_takes_nothing_over_from_its_earlier_life(
    server: ServerProcess, vllm: VllmProcess, adapters: Path, by_base: list[Said]
) -> None:
    support = serve_one(server, adapters)
    before = text_of(server, "support", QUESTIONS[0])
    server.stop()
    assert len(vllm.adapters()) == 1
    server.apply()
    server.start()
    assert vllm.adapters() == {}
    server.serve(support, routes={"support": support.name})
    assert text_of(server, "support", QUESTIONS[0], seed=1) == before


def test_a_vllm_that_was_killed_gets_everything_back(server: ServerProcess, vllm: VllmProcess, adapters: Path) -> None:
    one, two = serve_one(server, adapters), revision(adapters, "legal", 1, seed=2)
    server.serve(one, two, routes={"support": one.name, "legal": two.name})
    before = {model: text_of(server, model, QUESTIONS[0]) for model in ("support", "legal", BASE)}
    vllm.kill()
    server.wait_until(lambda: not server.is_ready(), "readiness follows")
    for model in before:
        refused = server.ask(model, QUESTIONS[1])
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) > 0
    assert server.ask("support", QUESTIONS[0], max_tokens=TOKENS).headers["X-Cache"] == "hit-exact", "what is known needs no model"
    vllm.launch()
    vllm.wait()
    server.wait_until(server.is_ready, "everything is back", START_DEADLINE)
    assert len(vllm.adapters()) == 2
    assert {model: text_of(server, model, QUESTIONS[0], seed=1) for model in before} == before
