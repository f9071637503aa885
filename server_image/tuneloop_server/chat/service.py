"""From a chat request to the pieces of its answer: route, ask the cache, generate once for all who ask the same, keep."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.cache.key import exact_key
from tuneloop_server.cache.tiers import FinishedAnswer, Hit, Lookup, Tier
from tuneloop_server.chat.flight import Flight, Flights, Head
from tuneloop_server.chat.parsing import ParsedRequest
from tuneloop_server.chat.telemetry import Telemetry, outcome_of
from tuneloop_server.chat.turn import Caller, Turn
from tuneloop_server.engine.base import Engine, Generation, Piece
from tuneloop_server.errors import ApiError, NotCached
from tuneloop_server.record.interaction_ids import InteractionIds, conversation_id
from tuneloop_server.routing import Ask, World, decide

NAME_LIMIT = 128
"""Characters of a conversation's name that are kept."""


@dataclass(frozen=True)
class Reply:
    """An answer that has begun. Iterate `pieces` to the end, or await `answer`; and call `close` once, in any case."""

    turn: Turn
    pieces: AsyncIterator[Piece]
    prompt_tokens: int
    headers: dict[str, str]
    flight: Flight

    async def answer(self) -> FinishedAnswer:
        """All of it."""
        async for _ in self.pieces:
            pass
        return self.flight.answer

    def close(self) -> None:
        self.flight.leave()


@dataclass(frozen=True)
class CachedReply:
    """An answer from before, whole."""

    turn: Turn
    answer: FinishedAnswer
    headers: dict[str, str]


class ChatService:
    def __init__(
        self,
        engine: Engine,
        adapters: AdapterService,
        world: Callable[[], World],
        ids: InteractionIds,
        tiers: Sequence[Tier],
        template: str,
        telemetry: Telemetry,
    ) -> None:
        """`tiers`: asked in this order; the first one, which must answer fast, also before a request is let in.
        `template`: digest of the base's chat template."""
        self._engine = engine
        self._adapters = adapters
        self._world = world
        self._ids = ids
        self._tiers = tuple(tiers)
        self._template = template
        self._telemetry = telemetry
        self._flights = Flights()

    async def cached_reply(self, parsed: ParsedRequest, caller: Caller) -> CachedReply | None:
        """What the first tier has, written down as given. Raises NotFound or BadRequest."""
        turn = self._turn(parsed, caller)
        hit = await self._ask(turn, self._tiers[:1])
        if hit is None:
            return None
        turn = self._named(turn, hit)
        self._telemetry.hit(turn, hit.answer)
        used = {"prompt_tokens": hit.answer.prompt_tokens, "completion_tokens": hit.answer.completion_tokens}
        self._telemetry.ended(turn, hit.answer.finish, hit, **used)
        return CachedReply(turn, hit.answer, _headers(turn, hit))

    async def reply(self, parsed: ParsedRequest, caller: Caller) -> Reply:
        """Raises ApiError: NotFound, BadRequest, PromptTooLong, TryLater, NotCached."""
        turn = self._named(self._turn(parsed, caller))
        flight, led = self._board(turn)  # without waiting in between: the revision must not leave meanwhile
        try:
            head = await flight.head()
        except BaseException as error:
            flight.leave()
            self._telemetry.ended(turn, outcome_of(error), None)
            raise
        if head.hit:
            turn = self._named(turn, head.hit)
        return Reply(turn, self._pieces(turn, flight, head, led), head.prompt_tokens, _headers(turn, head.hit), flight)

    def _turn(self, parsed: ParsedRequest, caller: Caller) -> Turn:
        """Without a name yet."""
        world = self._world()
        request, texts = parsed.request, parsed.texts
        user = self._ids.hash_user(caller.tenant, request.user or "")
        named = (caller.conversation or request.conversation)[:NAME_LIMIT]
        conversation = conversation_id(named, texts[0] if texts else "", user)
        decision = decide(Ask(request.model, caller.tag, "\n".join(texts), user or conversation), world)
        digest = world.loaded[decision.revision].digest if decision.revision else ""
        lookup = self._lookup(parsed, caller, decision.domain, digest)
        return Turn("", parsed, caller, conversation, user, decision, lookup, created=int(time.time()))

    def _lookup(self, parsed: ParsedRequest, caller: Caller, domain: str, adapter_digest: str) -> Lookup | None:
        control = caller.control
        if not (self._tiers and (control.read or control.write) and parsed.repeatable(control)):
            return None
        base, tenant = self._engine.facts.digest, caller.tenant
        key = exact_key(parsed.digest, base_digest=base, template=self._template, adapter_digest=adapter_digest, tenant=tenant)
        return Lookup(key, caller.tenant, domain, base, adapter_digest, parsed.messages, parsed.sampling)

    def _named(self, turn: Turn, hit: Hit | None = None) -> Turn:
        """With an id by which feedback finds the interaction that the answer comes from, and a thumbs-down its entry in the cache."""
        if not turn.caller.record:
            return replace(turn, id=f"{turn.parsed.request.id_prefix}-{secrets.token_hex(14)}")
        key, origin = (hit.key, hit.answer.origin) if hit else (turn.lookup.key if turn.lookup else "", "")
        return replace(turn, id=self._ids.new_id(turn.caller.tenant, key, origin))

    async def _ask(self, turn: Turn, tiers: Sequence[Tier]) -> Hit | None:
        if turn.lookup and turn.reads:
            for tier in tiers:
                hit = await tier.find(turn.lookup)
                if hit and turn.caller.control.accepts(hit.age):
                    return hit
        return None

    def _board(self, turn: Turn) -> tuple[Flight, bool]:
        """(the flight, whether this turn's request is what it generates). The adapter is held until the flight has ended, whoever is
        left of its passengers."""
        if turn.caller.control.only:
            return self._flights.join(None, partial(self._fly_cached, turn))
        lease = self._adapters.hold(turn.decision.revision) if turn.decision.revision else None
        flight, led = self._flights.join(turn.share, partial(self._fly, turn, lease.handle if lease else None))
        if lease:
            flight.when_done(lease.release) if led else lease.release()
        return flight, led

    async def _fly_cached(self, turn: Turn, flight: Flight) -> None:
        hit = await self._ask(turn, self._tiers)
        if hit is None:
            raise NotCached("there is no such answer in the cache, and the request said only-if-cached")
        flight.bring(hit)

    async def _fly(self, turn: Turn, handle: str | None, flight: Flight) -> None:
        if hit := await self._ask(turn, self._tiers):
            return flight.bring(hit)
        meter = self._telemetry.meter()
        answer = await self._engine.generate(Generation(turn.parsed.messages, turn.parsed.sampling, handle))
        flight.begin(Head(answer.prompt_tokens))
        texts: list[str] = []
        try:
            async for piece in answer.pieces():
                texts.append(piece.text)
                meter.piece(piece)
                if not piece.finish:
                    flight.add(piece)
                    continue
                stored = FinishedAnswer("".join(texts), piece.finish, answer.prompt_tokens, meter.tokens, _origin(turn), time.time())
                await self._keep(turn, stored)
                flight.add(piece, stored)
        finally:
            answer.cancel()
            meter.ended(answer.prompt_tokens)

    async def _keep(self, turn: Turn, answer: FinishedAnswer) -> None:
        """Before the last piece goes out: who has seen an answer end finds it in the cache."""
        self._telemetry.answered(turn, answer, repeated=False)
        if turn.lookup and turn.caller.control.write:
            for tier in self._tiers:
                await tier.put(turn.lookup, answer)

    async def _pieces(self, turn: Turn, flight: Flight, head: Head, led: bool) -> AsyncIterator[Piece]:
        outcome, tokens = "cancelled", 0
        try:
            async for piece in flight.pieces():
                if not (tokens or head.hit):
                    self._telemetry.first_piece(turn)
                tokens += piece.tokens
                outcome = piece.finish or outcome
                if piece.finish and head.hit:
                    self._telemetry.hit(turn, flight.answer)
                elif piece.finish and not led:
                    self._telemetry.answered(turn, flight.answer, repeated=True)
                yield piece
        except ApiError as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._telemetry.ended(turn, outcome, head.hit, prompt_tokens=head.prompt_tokens, completion_tokens=tokens)


def _origin(turn: Turn) -> str:
    return turn.id if turn.caller.record else ""


def _headers(turn: Turn, hit: Hit | None) -> dict[str, str]:
    """Without an interaction id when nothing is recorded: there is nothing that feedback could be joined to."""
    headers = {"X-Cache": turn.cache_label(hit), "X-Adapter": turn.revision}
    if hit:
        headers["Age"] = str(hit.age)
    if hit and hit.similarity is not None:
        headers["X-Cache-Similarity"] = f"{hit.similarity:.3f}"
    if turn.caller.record:
        headers["X-Interaction-Id"] = turn.id
    return headers
