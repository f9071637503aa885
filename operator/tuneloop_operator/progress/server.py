"""The HTTP server that job pods post to: contracts/progress.py says the paths and bodies."""

import logging
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from tuneloop_contracts.progress import PROGRESS_PATH, REPORT_PATH, ProgressBody, Report
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS
from tuneloop_operator.clients.errors import ClientError, TryLater
from tuneloop_operator.clients.token_reviews import JobIdentity, TokenReviews
from tuneloop_operator.progress.inbox import Inbox
from tuneloop_operator.queue import Key, WorkQueue

log = logging.getLogger(__name__)

BODY_LIMIT = 1024 * 1024
"""Bytes. A report on 50 domains is below 64 KiB."""
TOKEN_LIMIT = 8192

Body = TypeVar("Body", bound=BaseModel)


def progress_app(reviews: TokenReviews, inbox: Inbox, queue: WorkQueue) -> web.Application:
    """401 without a token that holds, 403 for another job's pod, 413 for too large a body, 400 for one that is not ours."""

    async def progress(request: web.Request) -> web.Response:
        identity = await _authenticated(request, reviews)
        inbox.post_progress(identity.job_uid, await _body(request, ProgressBody))
        return _accepted(identity, queue)

    async def report(request: web.Request) -> web.Response:
        identity = await _authenticated(request, reviews)
        inbox.post_report(identity.job_uid, await _body(request, Report))
        return _accepted(identity, queue)

    app = web.Application(client_max_size=BODY_LIMIT)
    app.add_routes([web.post(PROGRESS_PATH, progress), web.post(REPORT_PATH, report)])
    return app


async def _authenticated(request: web.Request, reviews: TokenReviews) -> JobIdentity:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > TOKEN_LIMIT:
        raise web.HTTPUnauthorized(text="a bearer token of the job's pod is needed\n")
    try:
        identity = await reviews.identity(token)
    except TryLater:
        raise web.HTTPServiceUnavailable(text="the API server does not answer; try later\n") from None
    except ClientError:
        raise web.HTTPUnauthorized(text="the token could not be reviewed\n") from None
    if identity is None:
        raise web.HTTPUnauthorized(text="the token is not one of a pod of a FineTuneJob\n")
    if (identity.namespace, identity.fine_tune_job) != (request.match_info["namespace"], request.match_info["name"]):
        raise web.HTTPForbidden(text="the pod belongs to another FineTuneJob\n")
    return identity


async def _body(request: web.Request, model: type[Body]) -> Body:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        where = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors()) or "the body"
        raise web.HTTPBadRequest(text=f"not understood: {where}\n") from None


def _accepted(identity: JobIdentity, queue: WorkQueue) -> web.Response:
    queue.add(Key(FINE_TUNE_JOBS.name, identity.namespace, identity.fine_tune_job))
    return web.Response(status=204)
