"""A harvested dataset: `training_data.jsonl` (the train part), `held_out.jsonl`, and `fine_tuning_summary.json`, which is this.

A row is `{"id", "domain", "conversation", "prompt", "completion", "learned", "weight"}`: `prompt` and `completion` are messages,
`{"role", "content"}`, and of `completion` those at the places `learned` are what is learned.
"""

from pydantic import Field

from tuneloop_contracts.model import Wire

TRAIN_FILE = "training_data.jsonl"
HELD_OUT_FILE = "held_out.jsonl"
SUMMARY_FILE = "fine_tuning_summary.json"
INSUFFICIENT = "InsufficientData"


class Count(Wire):
    """How many rows went one way, and why."""

    name: str
    """The reason, or the kind of thing."""
    count: int
    """How many."""


class DomainCounts(Wire):
    """What a domain got."""

    name: str
    """The domain."""
    train: int
    """Examples to learn from."""
    held_out: int
    """Examples kept for judging."""
    reason: str | None = None
    """`InsufficientData` when train + held out are fewer than the job's minimum."""


class Dataset(Wire):
    """The funnel of one harvest: read = kept + the sum of dropped. Also `status.dataset` of the job."""

    uri: str
    """Where it is: a directory of the datasets store."""
    digest: str
    """Digest over its rows."""
    from_: str = Field(alias="from")
    """Start of the window, RFC 3339."""
    to: str
    """End of the window, RFC 3339."""
    read: int
    """Interactions in the window."""
    kept: int
    """Of these, what became examples."""
    lost: int = 0
    """Entries of the window that Redis no longer had."""
    dropped: tuple[Count, ...] = ()
    """Interactions that did not become examples, by reason."""
    redacted: tuple[Count, ...] = ()
    """Things replaced by placeholders, by kind."""
    domains: tuple[DomainCounts, ...] = ()
    """Examples by domain."""

    @property
    def trainable(self) -> tuple[str, ...]:
        return tuple(domain.name for domain in self.domains if domain.reason is None)
