"""Takes feedback on answers that this target gave to this tenant; one that was found wrong leaves the cache."""

from collections.abc import Sequence

from tuneloop_contracts.answers import key_of
from tuneloop_contracts.record import Feedback
from tuneloop_server.cache.tiers import Tier
from tuneloop_server.circuit import RedisUnavailable
from tuneloop_server.errors import NotFound, Unavailable
from tuneloop_server.feedback.protocol import FeedbackRequest
from tuneloop_server.record.interaction_ids import InteractionIds
from tuneloop_server.record.recorder import Recorder


class FeedbackService:
    def __init__(self, ids: InteractionIds, recorder: Recorder | None, tiers: Sequence[Tier]) -> None:
        self._ids = ids
        self._recorder = recorder
        self._tiers = tiers

    async def take(self, request: FeedbackRequest, tenant: str) -> None:
        """Raises NotFound for another's answer and for one that never was, without telling which; Unavailable when it is not kept
        or the cache could not be told."""
        if not self._ids.belongs(request.interaction_id, tenant):
            raise NotFound("no such interaction", param="interaction_id", code="interaction_not_found")
        by = self._ids.hash_user(tenant, request.user or "")
        about = self._ids.origin_of(request.interaction_id)
        feedback = Feedback(about, request.rating, request.correction or "", by, request.comment or "")
        if self._recorder is None or not self._recorder.put(feedback):
            raise Unavailable("feedback is not being recorded at the moment", code="not_recorded")
        if request.rating == "down":
            await self._forget(key_of(request.interaction_id))

    async def _forget(self, key: str) -> None:
        """By each tier, also after one that could not tell Redis: this pod then gives it no more in any case."""
        away: RedisUnavailable | None = None
        for tier in self._tiers if key else ():
            try:
                await tier.forget(key)
            except RedisUnavailable as error:
                away = error
        if away:
            said = "recorded, but the cache cannot be told at the moment and may repeat the answer; send it again"
            raise Unavailable(said, code="still_cached", retry_after=1) from away
