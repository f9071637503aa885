"""The server's watch of its manifest, on a real API server, with the rights that the chart gives it and no more."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import yaml
from kubernetes.aio import client

from control_plane.process import ControlPlane
from ports import free_port
from tuneloop_contracts.domains import Domain
from tuneloop_contracts.manifest import MANIFEST_KEY, AdapterManifest
from tuneloop_server.manifest.configmap import NotPermitted, follow_with
from tuneloop_server.manifest.source import EMPTY, ManifestSnapshot
from waiting import beside

pytestmark = pytest.mark.control_plane

NAME = "chat-llm-adapters"
DEADLINE = 20.0


@pytest.fixture(autouse=True)
async def _connections_closed() -> AsyncIterator[None]:
    """A broken-off watch says goodbye over TLS, and the API server may take a moment to answer: the loop has to live until then."""
    yield
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    async with asyncio.timeout(DEADLINE):
        while len(selector.get_map()) > 1:  # noqa: ASYNC110 - nothing tells when a transport is gone; what stays is the loop's own pipe
            await asyncio.sleep(0)


class Follower:
    """What was delivered, and how to wait for it."""

    def __init__(self) -> None:
        self.seen: list[ManifestSnapshot] = []
        self._news = asyncio.Event()

    def deliver(self, seen: ManifestSnapshot) -> None:
        self.seen.append(seen)
        self._news.set()

    async def until(self, reached: Callable[[list[ManifestSnapshot]], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not reached(self.seen):
                self._news.clear()
                await self._news.wait()

    @property
    def salts(self) -> list[str]:
        return [seen.manifest.salt for seen in self.seen]


@contextlib.asynccontextmanager
async def following(plane: ControlPlane, namespace: str, server: str = "") -> AsyncIterator[Follower]:
    """As the pod does it, with a token of the namespace's default service account."""
    follower = Follower()
    async with api_client(plane, namespace, server) as api, beside(follow_with(api, namespace, NAME, follower.deliver)):
        yield follower


@contextlib.asynccontextmanager
async def api_client(plane: ControlPlane, namespace: str, server: str = "") -> AsyncIterator[Any]:
    cluster = yaml.safe_load(plane.kubeconfig.read_text())["clusters"][0]["cluster"]
    configuration = client.Configuration(host=server or cluster["server"])
    configuration.ssl_ca_cert = cluster["certificate-authority"]
    configuration.api_key["BearerToken"] = f"Bearer {token(plane, namespace)}"
    async with client.ApiClient(configuration) as api:
        yield client.CoreV1Api(api)


def token(plane: ControlPlane, namespace: str) -> str:
    return plane.kubectl("create", "token", "default", "-n", namespace).stdout.strip()


def permit(plane: ControlPlane, namespace: str) -> None:
    """The Role that the chart writes."""
    plane.kubectl("create", "role", "follow", "-n", namespace, "--verb=get,list,watch", "--resource=configmaps", f"--resource-name={NAME}")
    plane.kubectl("create", "rolebinding", "follow", "-n", namespace, "--role=follow", f"--serviceaccount={namespace}:default")


def write(plane: ControlPlane, namespace: str, salt: str, text: str | None = None, **fields: Any) -> None:
    """Server-side, so that it creates or changes."""
    content = text if text is not None else json.dumps(AdapterManifest(salt=salt, **fields).to_wire())
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {MANIFEST_KEY: content}}
    path = f"/api/v1/namespaces/{namespace}/configmaps/{NAME}?fieldManager=test&force=true"
    with plane.api() as api:
        answer = api.patch(path, content=json.dumps(body), headers={"Content-Type": "application/apply-patch+yaml"})
        assert answer.status_code in (200, 201), answer.text


async def test_from_nothing_to_the_first_to_the_next(plane: ControlPlane, namespace: str) -> None:
    permit(plane, namespace)
    async with following(plane, namespace) as follower:
        await follower.until(lambda seen: seen == [EMPTY])
        for salt in ("one", "two"):
            write(plane, namespace, salt)
            await follower.until(lambda _, salt=salt: salt in follower.salts)  # type: ignore[misc]
    with plane.api() as api:
        last = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{NAME}").json()["metadata"]["resourceVersion"]
    assert follower.seen[-1].resource_version == last


async def test_what_is_already_there(plane: ControlPlane, namespace: str) -> None:
    permit(plane, namespace)
    write(plane, namespace, "there")
    async with following(plane, namespace) as follower:
        await follower.until(lambda seen: len(seen) > 0)
    assert follower.salts == ["there"]


async def test_a_manifest_longer_than_the_clients_own_watch_can_read(plane: ControlPlane, namespace: str) -> None:
    permit(plane, namespace)
    domains = tuple(Domain(name=f"domain-{n}", keywords=tuple(f"word-{n}-{k}" + "x" * 60 for k in range(40))) for n in range(60))
    async with following(plane, namespace) as follower:
        await follower.until(lambda seen: seen == [EMPTY])
        write(plane, namespace, "long", domains=domains)
        await follower.until(lambda _: "long" in follower.salts)
    assert follower.seen[-1].manifest.domains == domains


async def test_broken_or_deleted_it_changes_nothing_and_comes_back(plane: ControlPlane, namespace: str) -> None:
    permit(plane, namespace)
    write(plane, namespace, "good")
    async with following(plane, namespace) as follower:
        await follower.until(lambda _: "good" in follower.salts)
        write(plane, namespace, "", text="{broken")
        await follower.until(lambda seen: seen[-1] == EMPTY)
        plane.kubectl("delete", "configmap", NAME, "-n", namespace)
        write(plane, namespace, "back")
        await follower.until(lambda _: "back" in follower.salts)


async def test_without_the_role_it_says_so(plane: ControlPlane, namespace: str) -> None:
    async with api_client(plane, namespace) as api:
        with pytest.raises(NotPermitted):
            await follow_with(api, namespace, NAME, Follower().deliver)


async def test_a_connection_that_breaks_is_made_again(plane: ControlPlane, namespace: str) -> None:
    permit(plane, namespace)
    target = httpx.URL(yaml.safe_load(plane.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
    async with Wire(target.port or 443) as wire, following(plane, namespace, f"https://127.0.0.1:{wire.port}") as follower:
        await follower.until(lambda seen: seen == [EMPTY])
        for salt in ("one", "two"):
            wire.cut()
            write(plane, namespace, salt)
            await follower.until(lambda _, salt=salt: salt in follower.salts)  # type: ignore[misc]


class Wire:
    """A TCP connection to the API server that can be cut."""

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self._to = to
        self._ends: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._ends |= {writer, back}
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, back), self._pass(onward, writer))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while part := await source.read(65536):
            sink.write(part)
            await sink.drain()
        sink.close()
