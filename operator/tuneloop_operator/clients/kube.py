"""The Kubernetes API, as far as the operator needs it: plain dicts in and out, errors named by what happens next."""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

from tuneloop_operator.api.kinds import LEASES, TOKEN_REVIEWS, Kind, Object
from tuneloop_operator.clients.errors import AlreadyExists, ClientError, FieldOwned, NotAllowed, Rejected, Stale, Unreachable

REQUEST_SECONDS = 20.0
"""Of one request. The API server's own limit is 60 s, but a pass has several."""
AGENT = "tuneloop-operator"
"""Also the field manager of all but the artifacts that jobs publish."""
UNGUARDED = (f"/apis/{LEASES.group}/", f"/apis/{TOKEN_REVIEWS.group}/")
"""Paths that change nothing of what the operator looks after."""
UNREAD = re.compile(r'unknown field "([\w.\[\]-]+)"|Go struct field ([\w.\[\]-]+)')
"""What the API server says of a field that it cannot decode: a path, and nothing of what is in it."""
REFUSER = re.compile(
    r"exceeded quota: [\w.-]+, requested: [\w./=,-]+, used: [\w./=,-]+, limited: [\w./=,-]+"
    r"|admission webhook \"[\w.-]+\"|ValidatingAdmissionPolicy '[\w.-]+'|cannot \w+ resource \"[\w/]+\""
)
"""Who refuses, in the API server's message: a quota with its numbers, a rule by its name, or a Role that lacks a verb."""
MERGE, APPLY, JSON = "application/merge-patch+json", "application/apply-patch+yaml", "application/json"


async def configuration() -> Configuration:
    """Of the service account inside a cluster, of KUBECONFIG outside."""
    found = Configuration()
    if "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG"):
        load_incluster_config(found)  # type: ignore[no-untyped-call]
    else:
        await load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=found)  # type: ignore[no-untyped-call]
    return found


class Kube:
    """Use as `async with Kube(await configuration()) as kube`."""

    def __init__(self, settings: Configuration) -> None:
        self.settings = settings
        self.api = ApiClient(settings)
        self.api.user_agent = AGENT
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before every write but those of the Lease itself: a process that was frozen must not write when it wakes."""

    async def __aenter__(self) -> "Kube":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """None if there is none."""
        return await self._call("GET", kind.path(namespace, name), absent_ok=True)

    async def has(self, kind: Kind, namespace: str) -> bool:
        """Whether the API server knows the kind. Raises NotAllowed if it may not be listed."""
        return await self._call("GET", kind.path(namespace), query=[("limit", "1")], absent_ok=True) is not None

    async def list(self, kind: Kind, namespace: str, *, labels: str = "") -> Sequence[Object]:
        """All of a namespace, or of the cluster if it is empty."""
        query = [("labelSelector", labels)] if labels else []
        found = await self._call("GET", kind.path(namespace), query=query)
        return list(found["items"]) if found else []

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        """Raises AlreadyExists; and Rejected for a field that the API server does not know, which it would drop without a word."""
        return await self._call("POST", kind.path(namespace), body=body, query=[("fieldValidation", "Strict")]) or {}

    async def replace(self, kind: Kind, namespace: str, body: Object) -> Object:
        """Raises Stale if the resourceVersion in `body` is not the newest."""
        return await self._call("PUT", kind.path(namespace, body["metadata"]["name"]), body=body) or {}

    async def patch(self, kind: Kind, namespace: str, name: str, body: Object, subresource: str = "") -> Object | None:
        """Merge patch; None if the object is gone."""
        return await self._call("PATCH", kind.path(namespace, name, subresource), body=body, content=MERGE, absent_ok=True)

    async def apply(self, kind: Kind, namespace: str, name: str, body: Object, manager: str) -> Object:
        """Server-side apply, not forced: raises FieldOwned if another manager owns a field."""
        query = [("fieldManager", manager), ("force", "false")]
        return await self._call("PATCH", kind.path(namespace, name), body=body, content=APPLY, query=query) or {}

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Of exactly this object: one that took its name meanwhile stays."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        await self._call("DELETE", kind.path(namespace, name), body=body, absent_ok=True)

    async def review(self, token: str, audience: str) -> Object:
        """The status of a TokenReview."""
        body = {"apiVersion": TOKEN_REVIEWS.api_version, "kind": "TokenReview", "spec": {"token": token, "audiences": [audience]}}
        reviewed = await self._call("POST", TOKEN_REVIEWS.path(), body=body)
        return dict((reviewed or {}).get("status", {}))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        content: str = JSON,
        query: Sequence[tuple[str, str]] = (),
        absent_ok: bool = False,
    ) -> Object | None:
        if method != "GET" and not path.startswith(UNGUARDED) and not self.may_write():
            raise Unreachable(f"{method} {path}: not written, since the Lease is not ours for certain")
        headers = {"Accept": JSON, "Content-Type": content}
        request = await self.api.param_serialize(method, path, {}, list(query), headers, body=body, auth_settings=["BearerToken"])
        try:
            response = await self.api.call_api(*request, _request_timeout=REQUEST_SECONDS)
            text = await response.read()  # type: ignore[no-untyped-call]
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{method} {path}: no answer ({type(error).__name__})") from None
        if response.status == 404 and absent_ok:
            return None
        if response.status >= 400:
            raise _error(method, path, response.status, text, applied=content == APPLY)
        answer: Object = json.loads(text)
        return answer


def _error(method: str, path: str, status: int, text: bytes, *, applied: bool) -> ClientError:
    reason = _reason(text)
    said = " ".join(part for part in (f"{method} {path}: {status}", reason, _fields(text), _refuser(text)) if part)
    if status == 409 and applied and reason == "Conflict":
        return FieldOwned(said)
    if status == 409:
        return AlreadyExists(said) if reason == "AlreadyExists" else Stale(said)
    if status == 400 and _unread(text):
        return Rejected(said)
    if status in (401, 404, 429) or status >= 500:  # 404 where something is written: its namespace or its kind is not there
        return Unreachable(said)
    return NotAllowed(said) if status in (400, 403) or _refuser(text) else Rejected(said)  # a policy that refuses says 422 too


def _reason(text: bytes) -> str:
    """The API's one word. Its message may quote the object, so it stays out."""
    return str(_status(text).get("reason", ""))


def _fields(text: bytes) -> str:
    """Paths of the fields that are at fault, without what is in them."""
    causes = (_status(text).get("details") or {}).get("causes") or []
    fields = [*(str(cause["field"]) for cause in causes if cause.get("field")), *_unread(text)]
    return ", ".join(dict.fromkeys(field[:120] for field in fields[:5]))


def _refuser(text: bytes) -> str:
    found = REFUSER.search(str(_status(text).get("message", "")))
    return f"({found[0]})" if found else ""


def _unread(text: bytes) -> list[str]:
    """The fields that kept the API server from reading the object at all: not known, or of another type."""
    return [unknown or other for unknown, other in UNREAD.findall(str(_status(text).get("message", "")))]


def _status(text: bytes) -> Mapping[str, Any]:
    try:
        status = json.loads(text)
    except ValueError:
        return {}
    return status if isinstance(status, Mapping) else {}
