"""Adapters come, go and fail under traffic, over real HTTP on the real model."""

import shutil
import threading
from itertools import cycle, pairwise
from pathlib import Path

import pytest

from bad_adapters import BAD, Bad
from builders_adapters import digest_of_base, make_adapter
from constanttraffic import traffic
from serverprocess import BASE, ServerProcess, named, revision
from tuneloop_contracts.adapters import WEIGHTS_FILE
from tuneloop_contracts.manifest import ManifestAdapter
from tuneloop_contracts.pods import AdapterState, LoadFault

pytestmark = pytest.mark.model

QUESTION = "My order has not arrived. What now?"


def answered_by(server: ServerProcess, model: str) -> str:
    return str(server.ask(model, QUESTION, max_tokens=1, temperature=0.5).headers["X-Adapter"])


def test_swaps_under_constant_traffic_fail_nobody(server: ServerProcess, adapters: Path) -> None:
    versions = [revision(adapters, "support", number, seed=number) for number in (1, 2)]
    server.serve(versions[0], routes={"support": versions[0].name})
    with traffic(server, QUESTION, "support", "auto", BASE) as seen:
        for before, after in pairwise(versions):
            server.serve(before, after, routes={"support": before.name})
            server.serve(before, after, routes={"support": after.name})
            server.serve(after, routes={"support": after.name})
            count = len(seen())
            server.wait_until(lambda start=count: len(seen()) >= start + 6, "traffic goes on")  # type: ignore[misc]
    answers = seen()
    assert {status for status, _ in answers} == {200}
    assert {adapter for _, adapter in answers} == {"base", *(version.name for version in versions)}
    assert answered_by(server, "support") == versions[-1].name


def test_a_stream_that_runs_keeps_its_adapter_until_its_end(server: ServerProcess, adapters: Path) -> None:
    """Dropped from the manifest in mid-answer: it drains, says so, and is gone after the last word."""
    old, new = revision(adapters, "support", 1, seed=1), revision(adapters, "support", 2, seed=2)
    server.serve(old, routes={"support": old.name})
    whole = server.ask("support", QUESTION, max_tokens=32, key="key-b").json()["choices"][0]["message"]["content"]
    stream = server.client().chat.completions.create(
        model="support", messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=32, stream=True
    )
    words = [next(stream), next(stream)]
    server.apply(new, routes={"support": new.name})
    server.wait_until(lambda: (entry := server.entry(old.name)) is not None and entry.state is AdapterState.DRAINING, "it drains")
    server.wait_until(lambda: (entry := server.entry(new.name)) is not None and entry.state is AdapterState.LOADED, "the new one loads")
    words += list(stream)
    assert "".join(word.choices[0].delta.content or "" for word in words) == whole
    server.wait_until(lambda: server.entry(old.name) is None, "the old one is gone")
    assert answered_by(server, "support") == new.name


def test_a_client_that_hangs_up_frees_its_row_and_its_adapter(server: ServerProcess, adapters: Path) -> None:
    support = revision(adapters, "support")
    server.serve(support, routes={"support": support.name})
    stream = server.client().chat.completions.create(
        model="support", messages=[{"role": "user", "content": QUESTION}], temperature=0.3, max_tokens=64, stream=True
    )
    next(stream)
    stream.close()
    server.wait_until(lambda: server.metric("vllm:num_requests_running") == 0, "the row is free")
    assert server.metric(f'tuneloop_requests_total{{adapter="{support.name}",outcome="cancelled"}}') == 1
    server.serve()  # nothing holds it any more


def test_each_kind_of_bad_adapter_under_traffic(server: ServerProcess, adapters: Path) -> None:
    """All at once, beside a good one: each says why, none disturbs, and the next good one loads."""
    good = revision(adapters, "support", 1)
    server.serve(good, routes={"support": good.name})
    bad = {named(adapters / f"bad-{n}", "legal", n + 1, kind.make(adapters / f"bad-{n}")): kind for n, kind in enumerate(BAD)}
    with traffic(server, QUESTION, "support") as seen:
        server.serve(good, *bad, routes={"support": good.name}, max_loaded_adapters=99)
        said = {report.name: (report.state, report.reason) for report in server.report().adapters}
        assert {adapter.name: said[adapter.name] for adapter in bad} == {
            adapter.name: (AdapterState.FAILED, kind.fault) for adapter, kind in bad.items()
        }
        better = revision(adapters, "support", 2, seed=2)
        server.serve(good, better, *bad, routes={"support": better.name}, max_loaded_adapters=99)
        server.wait_until(lambda: (200, better.name) in seen(), "the next good one answers")
    assert set(seen()) == {(200, good.name), (200, better.name)}
    assert server.metric('tuneloop_adapters{state="Failed"}') == len(bad)


def test_fifty_bad_loads_one_after_another_lose_no_request(server: ServerProcess, adapters: Path) -> None:
    """Each is asked for while requests run, and given up before the next; then a good one loads as if nothing had been."""
    good = revision(adapters, "support", 1)
    server.serve(good, routes={"support": good.name})
    with traffic(server, QUESTION, "support", BASE) as seen:
        for number, kind in zip(range(50), cycle(BAD), strict=False):
            folder = adapters / f"bad-{number}"
            bad = named(folder, "legal", number + 1, kind.make(folder))
            server.serve(good, bad, routes={"support": good.name, "legal": bad.name})
            entry = server.entry(bad.name)
            assert entry
            assert (entry.state, entry.reason) == (AdapterState.FAILED, kind.fault)
            shutil.rmtree(folder)
        better = revision(adapters, "support", 2, seed=2)
        server.serve(good, better, routes={"support": better.name})
        server.wait_until(lambda: (200, better.name) in seen(), "the next good one answers")
    assert set(seen()) == {(200, "base"), (200, good.name), (200, better.name)}


def test_names_that_lead_out_of_a_folder_are_refused(server: ServerProcess, adapters: Path) -> None:
    good = revision(adapters, "support", 1)
    elsewhere = {"name": "../../evil-v1-00000000"}, {"name": "a/b-v1-00000000"}, {"name": "a.b"}, {"digest": "sha256:../../../evil"}
    bad = [good.model_copy(update=change) for change in elsewhere]
    server.serve(good, *bad, routes={"support": good.name})
    refused = [report for report in server.report().adapters if report.name != good.name or report.digest != good.digest]
    assert [(report.state, report.reason) for report in refused] == [(AdapterState.FAILED, LoadFault.LOAD_FAILED)] * len(bad)
    assert answered_by(server, "support") == good.name


def test_a_revision_that_failed_falls_back_and_says_so(server: ServerProcess, adapters: Path) -> None:
    good = revision(adapters, "support", 1)
    bad = named(adapters / "bad", "support", 2, a_bad_one().make(adapters / "bad"))
    server.serve(good, bad, routes={"support": bad.name})
    assert answered_by(server, "support") == good.name
    assert server.metric(f'tuneloop_fallbacks_total{{wanted="{bad.name}"}}') == 1
    assert server.ask(bad.name, QUESTION).status_code == 404
    server.serve(bad, routes={"support": bad.name})
    assert answered_by(server, "support") == "base"


def a_bad_one() -> Bad:
    return next(bad for bad in BAD if bad.fault is LoadFault.CORRUPT_WEIGHTS)


def test_an_artifact_that_comes_later_is_loaded_when_it_comes(server: ServerProcess, adapters: Path) -> None:
    digest = make_adapter(adapters / "made", digest_of_base(), "support", seed=1)
    late = named(adapters / "late", "support", 1, digest)
    server.serve(late, routes={"support": late.name})
    entry = server.entry(late.name)
    assert entry
    assert (entry.state, entry.reason) == (AdapterState.FAILED, LoadFault.ARTIFACT_NOT_FOUND)
    assert server.is_ready()
    (adapters / "made").rename(adapters / "late")
    server.wait_until(lambda: answered_by(server, "support") == late.name, "it answers", deadline=15)


def test_more_than_the_target_allows(server: ServerProcess, adapters: Path) -> None:
    """What routes name comes first, wherever it stands in the list."""
    old, older, routed = (revision(adapters, "support", number, seed=number) for number in (2, 1, 3))
    server.serve(old, older, routed, routes={"support": routed.name}, max_loaded_adapters=2)
    surplus = server.entry(older.name)
    assert surplus
    assert (surplus.state, surplus.reason) == (AdapterState.FAILED, LoadFault.LOAD_FAILED)
    assert "maxLoadedAdapters" in surplus.message
    assert answered_by(server, "support") == routed.name
    server.serve(older, routed, routes={"support": routed.name}, max_loaded_adapters=2)
    assert server.ask(older.name, QUESTION).status_code == 200


def test_taken_back_while_it_drains(server: ServerProcess, adapters: Path) -> None:
    """A rollback within a second: what still drains serves again, without a second load."""
    support = revision(adapters, "support")
    server.serve(support, routes={"support": support.name})
    stream = server.client().chat.completions.create(
        model=support.name, messages=[{"role": "user", "content": QUESTION}], temperature=0.3, max_tokens=64, stream=True
    )
    next(stream)
    server.apply()
    server.wait_until(lambda: (entry := server.entry(support.name)) is not None and entry.state is AdapterState.DRAINING, "it drains")
    assert server.ask(support.name, QUESTION).status_code == 404
    loads = server.log().count("is loaded")
    server.serve(support, routes={"support": support.name})
    list(stream)
    assert answered_by(server, "support") == support.name
    assert server.log().count("is loaded") == loads


def test_the_same_name_with_other_weights_never_answers_with_the_old_ones(server: ServerProcess, adapters: Path) -> None:
    first = revision(adapters, "support", 1, seed=1)
    other = make_adapter(adapters / "other", digest_of_base(), "support", seed=2)
    second = ManifestAdapter(name=first.name, domain="support", uri=f"file://{adapters / 'other'}", digest=other)
    server.serve(first, routes={"support": first.name})
    before = server.ask("support", QUESTION)
    server.serve(second, routes={"support": first.name})
    server.wait_until(lambda: server.report().adapters[0].digest == other, "the other weights are there")
    after = server.ask("support", QUESTION)
    assert after.headers["X-Cache"] == "miss", "the key holds the digest, not the name"
    assert after.json()["choices"] != before.json()["choices"]


def test_long_poll(server: ServerProcess, adapters: Path) -> None:
    """Answers at once to a stranger, at the next change to whoever is up to date."""
    support = revision(adapters, "support")
    seen = server.report().revision
    assert server.report(seen=seen + 1000, wait=30).revision == seen
    answers = []
    poll = threading.Thread(target=lambda: answers.append(server.report(seen=seen, wait=30)))
    poll.start()
    server.apply(support, routes={"support": support.name})
    poll.join(20)
    assert answers, "the poll was answered before its time was up"
    assert answers[0].revision != seen


def test_the_files_may_vanish_once_loaded(server: ServerProcess, adapters: Path) -> None:
    support = revision(adapters, "support")
    server.serve(support, routes={"support": support.name})
    (adapters / "support-1" / WEIGHTS_FILE).write_bytes(b"overwritten")
    assert answered_by(server, "support") == support.name
