"""From a chat request to the pieces of its answer: route, ask the cache, generate once for all who ask the same, keep."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.cache.key import exact_key
from tuneloop_server.cache.tiers import FinishedAnswer, Hit, Lookup, Tier
from tuneloop_server.chat.parsing import ParsedRequest
from tuneloop_server.chat.singleflight import GenerationStart, SharedGeneration, SharedGenerations
from tuneloop_server.chat.telemetry import Telemetry, outcome_of
from tuneloop_server.chat.turn import Caller, Turn
from tuneloop_server.engine.base import Engine, Generation, Piece
from tuneloop_server.errors import ApiError, NotCached
from tuneloop_server.record.interaction_ids import InteractionIds, conversation_id
from tuneloop_server.routing import RouteQuery, RoutingTable, decide

NAME_LIMIT = 128
"""Characters of a conversation's name that are kept."""


@dataclass(frozen=True)
class Reply:
    """An answer that has begun. Iterate `pieces` to the end, or await `answer`; and call `close` once, in any case."""

    turn: Turn
    pieces: AsyncIterator[Piece]
    prompt_tokens: int
    headers: dict[str, str]
    generation: SharedGeneration

    async def answer(self) -> FinishedAnswer:
        """All of it."""
        async for _ in self.pieces:
            pass
        return self.generation.answer

    def close(self) -> None:
        self.generation.unsubscribe()


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
        routing_table: Callable[[], RoutingTable],
        ids: InteractionIds,
        tiers: Sequence[Tier],
        template: str,
        telemetry: Telemetry,
    ) -> None:
        """`tiers`: asked in this order; the first one, which must answer fast, also before a request is let in.
        `template`: digest of the base's chat template."""
        self._engine = engine
        self._adapters = adapters
        self._routing_table = routing_table
        self._ids = ids
        self._tiers = tuple(tiers)
        self._template = template
        self._telemetry = telemetry
        self._generations = SharedGenerations()

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
        generation, leads = self._subscribe(turn)  # without waiting in between: the revision must not leave meanwhile
        try:
            start = await generation.start()
        except BaseException as error:
            generation.unsubscribe()
            self._telemetry.ended(turn, outcome_of(error), None)
            raise
        if start.hit:
            turn = self._named(turn, start.hit)
        return Reply(turn, self._pieces(turn, generation, start, leads), start.prompt_tokens, _headers(turn, start.hit), generation)

    def _turn(self, parsed: ParsedRequest, caller: Caller) -> Turn:
        """Without a name yet."""
        table = self._routing_table()
        request, texts = parsed.request, parsed.texts
        user = self._ids.hash_user(caller.tenant, request.user or "")
        named = (caller.conversation or request.conversation)[:NAME_LIMIT]
        conversation = conversation_id(named, texts[0] if texts else "", user)
        decision = decide(RouteQuery(request.model, caller.tag, "\n".join(texts), user or conversation), table)
        digest = table.loaded[decision.revision].digest if decision.revision else ""
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

    def _subscribe(self, turn: Turn) -> tuple[SharedGeneration, bool]:
        """(the generation, whether this turn's request is what it generates). The adapter is held until the generation has ended, whoever
        still subscribes."""
        if turn.caller.control.only:
            return self._generations.join(None, partial(self._answer_from_cache, turn))
        lease = self._adapters.hold(turn.decision.revision) if turn.decision.revision else None
        generation, leads = self._generations.join(turn.share, partial(self._generate, turn, lease.handle if lease else None))
        if lease:
            generation.when_done(lease.release) if leads else lease.release()
        return generation, leads

    async def _answer_from_cache(self, turn: Turn, generation: SharedGeneration) -> None:
        hit = await self._ask(turn, self._tiers)
        if hit is None:
            raise NotCached("there is no such answer in the cache, and the request said only-if-cached")
        generation.deliver_hit(hit)

    async def _generate(self, turn: Turn, handle: str | None, generation: SharedGeneration) -> None:
        if hit := await self._ask(turn, self._tiers):
            return generation.deliver_hit(hit)
        meter = self._telemetry.meter()
        answer = await self._engine.generate(Generation(turn.parsed.messages, turn.parsed.sampling, handle))
        generation.begin(GenerationStart(answer.prompt_tokens))
        texts: list[str] = []
        try:
            async for piece in answer.pieces():
                texts.append(piece.text)
                meter.piece(piece)
                if not piece.finish:
                    generation.add(piece)
                    continue
                stored = FinishedAnswer("".join(texts), piece.finish, answer.prompt_tokens, meter.tokens, _origin(turn), time.time())
                await self._keep(turn, stored)
                generation.add(piece, stored)
        finally:
            answer.cancel()
            meter.ended(answer.prompt_tokens)

    async def _keep(self, turn: Turn, answer: FinishedAnswer) -> None:
        """Before the last piece goes out: who has seen an answer end finds it in the cache."""
        self._telemetry.answered(turn, answer, repeated=False)
        if turn.lookup and turn.caller.control.write:
            for tier in self._tiers:
                await tier.put(turn.lookup, answer)

    async def _pieces(self, turn: Turn, generation: SharedGeneration, start: GenerationStart, leads: bool) -> AsyncIterator[Piece]:
        outcome, tokens = "cancelled", 0
        try:
            async for piece in generation.pieces():
                if not (tokens or start.hit):
                    self._telemetry.first_piece(turn)
                tokens += piece.tokens
                outcome = piece.finish or outcome
                if piece.finish and start.hit:
                    self._telemetry.hit(turn, generation.answer)
                elif piece.finish and not leads:
                    self._telemetry.answered(turn, generation.answer, repeated=True)
                yield piece
        except ApiError as error:
            outcome = outcome_of(error)
            raise
        finally:
            self._telemetry.ended(turn, outcome, start.hit, prompt_tokens=start.prompt_tokens, completion_tokens=tokens)


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
