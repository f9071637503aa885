"""Takes feedback on answers that this target gave to this tenant."""

from tuneloop_contracts.record import Feedback
from tuneloop_server.errors import NotFound, Unavailable
from tuneloop_server.feedback.protocol import FeedbackRequest
from tuneloop_server.record.marks import Marks
from tuneloop_server.record.recorder import Recorder


class FeedbackService:
    def __init__(self, marks: Marks, recorder: Recorder | None) -> None:
        self._marks = marks
        self._recorder = recorder

    def take(self, request: FeedbackRequest, tenant: str) -> None:
        """Raises NotFound for another's answer and for one that never was, without telling which; Unavailable when it is not kept."""
        if not self._marks.belongs(request.interaction_id, tenant):
            raise NotFound("no such interaction", param="interaction_id", code="interaction_not_found")
        by = self._marks.hide(f"{tenant} {request.user}") if request.user else ""
        feedback = Feedback(request.interaction_id, request.rating, request.correction, by, request.comment)
        if self._recorder is None or not self._recorder.put(feedback):
            raise Unavailable("feedback is not being recorded at the moment", code="not_recorded")
