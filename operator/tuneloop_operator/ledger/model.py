"""What the ConfigMap of a target keeps under LEDGER_KEY. Statuses are projections of it, and it is rebuilt from them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from tuneloop_contracts.model import Wire
from tuneloop_contracts.names import revision_number
from tuneloop_operator.api.conditions import is_time
from tuneloop_operator.api.loraadapter import RevisionState

LEDGER_KEY = "revisions.json"
NEVER_SERVED = "NeverServed"
"""Reason of a revision that was replaced while it still waited: nothing to fall back to."""


def _moment(text: str) -> str:
    if not is_time(text):
        raise ValueError(f"{text!r} is no time")
    return text


class Revision(Wire):
    """Weights under a name that is never given to others."""

    name: str
    digest: str
    uri: str
    fine_tune_job: str = ""
    state: RevisionState
    since: Annotated[str, AfterValidator(_moment)]
    reason: str = ""
    """Why it was refused or rolled back, in one word."""
    message: str = ""


class Entry(Wire):
    """All that is known of one LoRAAdapter."""

    uid: str
    """Of the LoRAAdapter: another one of the same name starts afresh."""
    domain: str
    last_number: int = 0
    """The N of the newest revision ever, also when history has forgotten it."""
    revisions: tuple[Revision, ...] = ()
    """Newest first."""
    held: str = ""
    """The digest that was refused or rolled back: it does not roll forward again until the spec names another."""
    rolled_back_to: str = ""
    """The value of the rollback annotation that was last obeyed; "" when it is taken away, which re-arms it."""

    def first(self, state: RevisionState) -> Revision | None:
        return next((revision for revision in self.revisions if revision.state == state), None)

    @property
    def active(self) -> Revision | None:
        return self.first(RevisionState.ACTIVE)

    @property
    def candidate(self) -> Revision | None:
        return self.first(RevisionState.CANDIDATE)

    @property
    def fall_back(self) -> Revision | None:
        """The revision that served before: still loaded, so that going back takes no time."""
        before = [r for r in self.revisions if r.state == RevisionState.SUPERSEDED and r.reason != NEVER_SERVED]
        return max(before, key=lambda revision: (revision.since, revision_number(revision.name)), default=None)

    def find(self, *, name: str = "", digest: str = "") -> Revision | None:
        return next((r for r in self.revisions if (name and r.name == name) or (digest and r.digest == digest)), None)

    def with_revision(self, name: str, **changes: Any) -> "Entry":
        changed = tuple(r.model_copy(update=changes) if r.name == name else r for r in self.revisions)
        return self.model_copy(update={"revisions": changed})


class Ledger(Wire):
    """By name of the LoRAAdapter."""

    entries: dict[str, Entry] = Field(default_factory=dict)


def read_ledger(data: Mapping[str, str]) -> Ledger:
    """Of a ConfigMap's data; one that was tampered with counts as lost, and is rebuilt from the statuses."""
    try:
        return Ledger.model_validate_json(data.get(LEDGER_KEY, "{}"))
    except ValidationError:
        return Ledger()
