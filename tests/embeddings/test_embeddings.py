"""POST /v1/embeddings over real HTTP, with the openai SDK, and the embedder that is somebody else's server."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from openai import OpenAI

from lightserver import light_server
from ports import free_port
from tuneloop_server import errors
from tuneloop_server.embeddings.routes import embeddings_routes
from tuneloop_server.embeddings.service import EmbeddingsService
from tuneloop_server.semcache.embed import remote as embed_remote
from tuneloop_server.semcache.embed.base import EmbedderUnavailable
from tuneloop_server.semcache.embed.choose import LazyEmbedder, make_embedder
from tuneloop_server.semcache.embed.remote import RemoteEmbedder
from tuneloop_server.semcache.embed.static import StaticEmbedder
from tuneloop_vectors.words import _tokens_of_word, tokens_of
from waiting import wait_until

MODEL = StaticEmbedder.name


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), "the server listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = FastAPI()
    errors.install(app)
    app.include_router(embeddings_routes(EmbeddingsService(LazyEmbedder("static"))))
    with listening(app) as url:
        yield url


def post(url: str, **fields: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/embeddings", json={"model": MODEL, "input": "hello"} | fields)


def test_the_sdk_gets_vectors_in_order(url: str) -> None:
    client = OpenAI(base_url=f"{url}/v1", api_key="key-a", max_retries=0)
    texts = ["how do I reset my password", "the moon is far away", "how to reset a password"]
    answer = client.embeddings.create(model=MODEL, input=texts)
    rows = np.asarray([one.embedding for one in answer.data])
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[2] > rows[0] @ rows[1] + 0.3
    assert answer.usage.total_tokens > 10


def test_floats_and_base64_say_the_same(url: str) -> None:
    floats = post(url).json()["data"][0]["embedding"]
    packed = base64.b64decode(post(url, encoding_format="base64").json()["data"][0]["embedding"])
    assert np.allclose(np.frombuffer(packed, "<f4"), floats)
    assert post(url, dimensions=384).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "ada"}, 404, "model"),
        ({"input": []}, 400, "input"),
        ({"input": ""}, 400, "input.0"),
        ({"input": [1, 2, 3]}, 400, "input"),
        ({"input": ["x"] * 300}, 400, "input"),
        ({"dimensions": 64}, 400, "dimensions"),
        ({"encoding_format": "int8"}, 400, "encoding_format"),
    ],
)
def test_bad_input_gets_a_clear_error(url: str, fields: dict[str, Any], status: int, param: str) -> None:
    refused = post(url, **fields)
    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param)


def test_what_is_no_word_is_not_remembered() -> None:
    """A gigabyte of them could be sent."""
    tokens_of("hello")
    before = _tokens_of_word.cache_info().currsize
    assert tokens_of("hello " + "xy" * 1000)[:1] == tokens_of("hello")
    assert _tokens_of_word.cache_info().currsize == before


def test_a_long_text_gives_what_a_short_one_would(url: str) -> None:
    """It is read in another thread."""
    alone, among = (post(url, input=["hello", *others]).json()["data"] for others in ([], ["x" * 8000]))
    assert len(among) == 2
    assert among[0] == alone[0]


async def test_the_server_gives_them_to_those_who_have_a_key(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"key-a": "acme"}')
    body = {"model": MODEL, "input": "hello"}
    async with light_server("", api_keys_file=keys) as pod:
        assert (await pod.http.post("/v1/embeddings", json=body)).status_code == 401
        answer = await pod.http.post("/v1/embeddings", json=body, headers={"Authorization": "Bearer key-a"})
        assert len(answer.json()["data"][0]["embedding"]) == 384


async def test_an_embedder_over_http_gives_what_its_server_gives() -> None:
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embed(body: dict[str, Any]) -> dict[str, Any]:
        assert body["model"] == "theirs"
        rows = [{"index": place, "embedding": [3.0, 4.0]} for place, _ in enumerate(body["input"])]
        return {"data": rows[::-1]}

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"data": [{"id": "theirs"}]}

    with listening(app) as url:
        remote = make_embedder(url)
        assert np.allclose(await remote.embed(["a", "b"]), [[0.6, 0.8], [0.6, 0.8]])
        await remote.close()


async def test_an_embedder_over_http_has_its_time_for_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()
    asked = threading.Event()

    @app.post("/v1/embeddings")
    def embed(body: dict[str, Any]) -> dict[str, Any]:
        """Late for one text, in time for a thousand."""
        asked.wait(0.2)
        return {"data": [{"index": place, "embedding": [3.0, 4.0]} for place, _ in enumerate(body["input"])]}

    monkeypatch.setattr(embed_remote, "TIMEOUT", 0.05)
    with listening(app) as url:
        remote = RemoteEmbedder(url)
        remote._model = "theirs"
        assert (await remote.embed(["a"] * 1000)).shape == (1000, 2)
        with pytest.raises(EmbedderUnavailable):
            await remote.embed(["a"])
        asked.set()
        await remote.close()


async def test_an_embedder_that_is_away_says_so() -> None:
    remote = RemoteEmbedder(f"http://127.0.0.1:{free_port()}/v1/embeddings")
    with pytest.raises(EmbedderUnavailable):
        await remote.embed(["a"])
    await remote.close()


async def test_the_packaged_model_tells_a_paraphrase_from_a_stranger() -> None:
    rows = await make_embedder("minilm").embed(["I forgot my password", "cannot remember my login secret", "boil an egg"])
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


def test_an_unknown_embedder_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        make_embedder("word2vec")
