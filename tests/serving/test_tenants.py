"""API keys that come and go, and what one tenant may take of a server."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import openai
import pytest

from serverprocess import ServerProcess
from tinymodel import TENANT_CONCURRENCY, TINY
from tuneloop_server.errors import TryLater, Unauthorized
from tuneloop_server.settings import BadSettings
from tuneloop_server.tenants.keys import BadKeys, Tenants, parse_keys
from tuneloop_server.tenants.limit import Concurrency


@pytest.mark.parametrize(
    ("content", "want"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"key: tenant", "not JSON", id="YAML"),
        pytest.param(b'["hunter2"]', "JSON object", id="a list"),
        pytest.param(b'{"hunter2": ["acme"]}', "JSON object", id="a tenant that is no name"),
        pytest.param(b'{"hunter2": ""}', "JSON object", id="a tenant without a name"),
        pytest.param(b'{"hunter2": "\\ud800"}', "JSON object", id="a tenant whose name is no text"),
        pytest.param(b'{"": "acme"}', "no header can carry", id="an empty key"),
        pytest.param(b'{"hunter2 ": "acme"}', "no header can carry", id="a key with a space"),
        pytest.param('{"hunter2é": "acme"}'.encode(), "no header can carry", id="a key that is not ASCII"),
        pytest.param(b'{"hunter2\\n": "acme"}', "no header can carry", id="a key with the file's last newline"),
    ],
)
def test_keys_that_must_be_mended_are_refused_without_being_quoted(content: bytes, want: str, tmp_path: Path) -> None:
    with pytest.raises(BadKeys, match=want):
        parse_keys(content)
    (tmp_path / "keys.json").write_bytes(content)
    with pytest.raises(BadSettings, match="API_KEYS_FILE") as refused:
        Tenants.from_file(tmp_path / "keys.json")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("authorization", "want"),
    [
        pytest.param("Bearer key-a", "acme", id="a key"),
        pytest.param("bearer   key-a ", "acme", id="in other words"),
        pytest.param("Bearer key-b", "bigco", id="another's"),
        pytest.param("Bearer key-", None, id="a part of one"),
        pytest.param("Bearer key-aa", None, id="more than one"),
        pytest.param("Bearer KEY-A", None, id="in capitals"),
        pytest.param("Bearer key-é", None, id="not ASCII"),
        pytest.param("Basic key-a", None, id="another scheme"),
        pytest.param("Bearer", None, id="nothing"),
        pytest.param(None, None, id="no header"),
    ],
)
def test_a_key_is_whose_it_is(authorization: str | None, want: str | None) -> None:
    tenants = Tenants({"key-a": "acme", "key-b": "bigco"})
    if want:
        assert tenants.of(authorization) == want
    else:
        with pytest.raises(Unauthorized):
            tenants.of(authorization)
    assert Tenants(None).of(authorization) == "default"


def test_a_tenant_has_its_places_and_no_more() -> None:
    places = Concurrency(2)
    places.enter("acme")
    places.enter("acme")
    with pytest.raises(TryLater) as refused:
        places.enter("acme")
    assert refused.value.retry_after
    places.enter("bigco")
    places.leave("acme")
    places.enter("acme")


def test_a_path_cannot_forge_a_line_of_the_log(tiny_server: ServerProcess) -> None:
    ask = {"url": f"{tiny_server.url}/v1/models/x%0Aforged%20line", "headers": {"Authorization": "Bearer key-a"}}
    assert httpx.get(**ask).status_code == 404  # type: ignore[arg-type]
    tiny_server.wait_until(lambda: "forged%20line 404" in tiny_server.log(), "it is in the log")
    assert "\nforged" not in tiny_server.log()


def test_without_a_limit_everybody_enters() -> None:
    places = Concurrency(0)
    for _ in range(1000):
        places.enter("acme")


@contextmanager
def unfinished_requests(server: ServerProcess, count: int, key: str) -> Iterator[None]:
    """That hold their places because the rest of their bodies never comes."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 100\r\n\r\n{{"
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port))).sendall(head.encode())
        yield


def models(server: ServerProcess, key: str) -> httpx.Response:
    return httpx.get(f"{server.url}/v1/models", headers={"Authorization": f"Bearer {key}"})


def test_whoever_takes_all_places_waits_and_the_others_do_not(tiny_server: ServerProcess) -> None:
    with unfinished_requests(tiny_server, TENANT_CONCURRENCY, "key-a"):
        tiny_server.wait_until(lambda: models(tiny_server, "key-a").status_code == 429, "every place is taken")
        refused = models(tiny_server, "key-a")
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["error"] | {"message": ""} == {
            "message": "", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded",
        }  # fmt: skip
        with pytest.raises(openai.RateLimitError):
            tiny_server.client("key-a").models.list()
        assert tiny_server.ask(TINY, "hi", key="key-b").status_code == 200
        assert httpx.get(f"{tiny_server.url}/readyz").status_code == 200
    tiny_server.wait_until(lambda: models(tiny_server, "key-a").status_code == 200, "those who hung up have left their places")
    assert tiny_server.metric('tuneloop_refused_total{reason="rate_limit_exceeded"}') >= 2


def test_keys_are_rotated_without_a_restart(tiny_server: ServerProcess) -> None:
    """As the kubelet does it: another file under the name. New keys open, old ones do not, and a broken file changes nothing."""
    file = Path(tiny_server.environment["API_KEYS_FILE"])
    before = file.read_bytes()

    def replace(content: bytes) -> None:
        file.with_suffix(".new").write_bytes(content)
        file.with_suffix(".new").rename(file)

    try:
        replace(json.dumps({"key-a": "acme", "key-c": "newcomer"}).encode())
        tiny_server.wait_until(lambda: models(tiny_server, "key-c").status_code == 200, "the new key opens")
        assert [models(tiny_server, key).status_code for key in ("key-a", "key-b")] == [200, 401]
        with pytest.raises(openai.AuthenticationError):
            tiny_server.client("key-b").models.list()
        replace(b'{"key-d": "hunter2')
        tiny_server.wait_until(lambda: "stay good" in tiny_server.log(), "the fault is told")
        assert [models(tiny_server, key).status_code for key in ("key-a", "key-c", "key-d")] == [200, 200, 401]
    finally:
        replace(before)
        tiny_server.wait_until(lambda: models(tiny_server, "key-b").status_code == 200, "all is as it was")
    said = tiny_server.log() + httpx.get(f"{tiny_server.url}/metrics").text
    for secret in ("key-", "acme", "bigco", "newcomer", "hunter2"):
        assert secret not in said
