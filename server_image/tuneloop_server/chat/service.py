"""From a chat request to the pieces of its answer: route, look in the cache, generate, keep."""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tuneloop_contracts.names import AUTO
from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.cache.key import cache_key
from tuneloop_server.cache.service import AnswerCache, Hit, Stored
from tuneloop_server.chat.protocol import ChatRequest
from tuneloop_server.chat.turn import BASE, Caller, Turn
from tuneloop_server.engine.base import Answer, Engine, Generation, Piece
from tuneloop_server.errors import ApiError
from tuneloop_server.metrics import Metrics
from tuneloop_server.record.marks import Marks, conversation_id
from tuneloop_server.record.recorder import Recorder
from tuneloop_server.routing import Ask, Decision, World, decide

log = logging.getLogger(__name__)

NAME_LIMIT = 128
"""Characters of a conversation's name that are kept."""


@dataclass(frozen=True)
class Reply:
    """An answer that has begun. Iterate `pieces` to the end, and call `close` in any case."""

    turn: Turn
    pieces: AsyncIterator[Piece]
    prompt_tokens: int
    headers: dict[str, str]
    close: Callable[[], None]


class ChatService:
    def __init__(
        self,
        engine: Engine,
        adapters: AdapterService,
        world: Callable[[], World],
        marks: Marks,
        metrics: Metrics,
        cache: AnswerCache | None,
        recorder: Recorder | None,
        max_new_tokens: int,
    ) -> None:
        self._engine = engine
        self._adapters = adapters
        self._world = world
        self._marks = marks
        self._metrics = metrics
        self._cache = cache
        self._recorder = recorder
        self._max_new_tokens = max_new_tokens

    async def reply(self, request: ChatRequest, caller: Caller) -> Reply:
        """Raises ApiError: NotFound, BadRequest, PromptTooLong, TryLater."""
        try:
            turn = self._begin(request, caller)
        except ApiError as error:
            self._metrics.requests.labels("none", error.code or error.type).inc()
            raise
        try:
            return await self._answer(turn)
        except BaseException as error:
            self._end(turn, outcome_of(error), turn.cache_label)
            raise

    def _begin(self, request: ChatRequest, caller: Caller) -> Turn:
        """No await in here: what was chosen is loaded, and is held before anything can change."""
        world = self._world()
        user = self._marks.hide(f"{caller.tenant} {request.user}") if request.user else ""
        texts = request.user_texts()
        named = (caller.conversation or request.conversation)[:NAME_LIMIT]
        conversation = conversation_id(named, texts[0] if texts else "", user)
        decision = decide(Ask(request.model, caller.tag, "\n".join(texts), user or conversation), world)
        if decision.missing:
            self._metrics.fallbacks.labels(decision.missing).inc()
        held = self._adapters.hold(decision.revision) if decision.revision else None
        generation = Generation(request.turns(), request.sampling(self._max_new_tokens), held.handle if held else None)
        return Turn(
            id=self._marks.new_id(caller.tenant) if caller.record else f"chatcmpl-{secrets.token_hex(14)}",
            request=request, caller=caller, conversation=conversation, user=user, decision=decision, held=held,
            generation=generation, key=self._key(generation, held.digest if held else "", caller.tenant), created=int(time.time()),
        )  # fmt: skip

    def _key(self, generation: Generation, adapter_digest: str, tenant: str) -> str | None:
        if self._cache is None or not generation.sampling.deterministic:
            return None
        return cache_key(generation, base_digest=self._engine.facts.digest, adapter_digest=adapter_digest, tenant=tenant)

    async def _answer(self, turn: Turn) -> Reply:
        hit = await self._cache.find(turn.key) if self._cache and turn.key else None
        if hit:
            label = f"hit-{hit.tier}"
            headers = _headers(turn, label) | {"Age": str(hit.age)}
            return Reply(turn, self._repeated(turn, hit), hit.answer.prompt_tokens, headers, turn.release)
        label = turn.cache_label
        answer = await self._engine.generate(turn.generation)

        def close() -> None:
            answer.cancel()
            turn.release()

        return Reply(turn, self._generated(turn, answer, label), answer.prompt_tokens, _headers(turn, label), close)

    async def _repeated(self, turn: Turn, hit: Hit) -> AsyncIterator[Piece]:
        stored = hit.answer
        self._record(turn, stored, cached=True)
        self._end(turn, stored.finish, f"hit-{hit.tier}")
        yield Piece(stored.text, stored.completion_tokens, stored.finish)

    async def _generated(self, turn: Turn, answer: Answer, label: str) -> AsyncIterator[Piece]:
        texts: list[str] = []
        tokens = 0
        outcome = "cancelled"
        try:
            async for piece in answer.pieces():
                if not tokens:
                    self._metrics.first_token.observe(turn.seconds)
                texts.append(piece.text)
                tokens += piece.tokens
                outcome = piece.finish or outcome
                if piece.finish:
                    await self._keep(turn, Stored("".join(texts), piece.finish, answer.prompt_tokens, tokens, _origin(turn), time.time()))
                yield piece
        except ApiError as error:
            outcome = outcome_of(error)
            raise
        finally:
            answer.cancel()
            self._metrics.prompt_tokens.inc(answer.prompt_tokens)
            self._metrics.generation_tokens.inc(tokens)
            self._end(turn, outcome, label)

    async def _keep(self, turn: Turn, answer: Stored) -> None:
        self._record(turn, answer, cached=False)
        if self._cache and turn.key:
            await self._cache.put(turn.key, answer)

    def _record(self, turn: Turn, answer: Stored, *, cached: bool) -> None:
        if self._recorder and turn.caller.record:
            self._recorder.put(turn.to_record(answer, cached=cached))

    def _end(self, turn: Turn, outcome: str, cache: str) -> None:
        """Once for each turn, however it ends."""
        turn.release()
        self._metrics.requests.labels(turn.revision, outcome).inc()
        self._metrics.cache.labels(cache).inc()
        self._metrics.seconds.labels(cache).observe(turn.seconds)
        kind = _kind(turn.request.model, turn.decision)
        log.info("chat %s adapter=%s outcome=%s cache=%s ms=%d", kind, turn.revision, outcome, cache, 1000 * turn.seconds)


def outcome_of(error: BaseException) -> str:
    """For a label: an OpenAI code, or that the client went away."""
    return error.code or error.type if isinstance(error, ApiError) else "cancelled"


def _origin(turn: Turn) -> str:
    return turn.id if turn.caller.record else ""


def _headers(turn: Turn, cache: str) -> dict[str, str]:
    """Without an interaction id when nothing is recorded: there is nothing that feedback could be joined to."""
    headers = {"X-Cache": cache, "X-Adapter": turn.revision}
    return headers | ({"X-Interaction-Id": turn.id} if turn.caller.record else {})


def _kind(model: str, decision: Decision) -> str:
    """How it was asked for, for the log."""
    return model if model in (AUTO, decision.domain, decision.revision) else BASE
