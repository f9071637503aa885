"""A harvested dataset: `training_data.jsonl` (the train part), `held_out.jsonl`, `time_forward.jsonl` (the newest conversations, in
neither of the two), and `fine_tuning_summary.json`, which is Dataset. Beside them `manifest.json`, from what exactly it was made:
DatasetManifest.

A row is `{"id", "domain", "conversation", "prompt", "completion", "learned", "weight"}`: `prompt` and `completion` are messages,
`{"role", "content"}`, and of `completion` those at the places `learned` are what is learned.
"""

from pydantic import Field

from tuneloop_contracts.model import Wire

TRAIN_FILE = "training_data.jsonl"
HELD_OUT_FILE = "held_out.jsonl"
TIME_FORWARD_FILE = "time_forward.jsonl"
DATA_FILES = (TRAIN_FILE, HELD_OUT_FILE, TIME_FORWARD_FILE)
"""What the dataset's digest is over."""
SUMMARY_FILE = "fine_tuning_summary.json"
MANIFEST_FILE = "manifest.json"
USERS_FILE = "users.jsonl"
"""`{"id", "user"}`: whose each row is, by keyed hash, so that one person's can be taken out again; a line for each, where several people
asked in one conversation. Never trained on."""
INSUFFICIENT = "InsufficientData"


class Count(Wire):
    """How many rows went one way, and why."""

    name: str
    """The reason, or the kind of thing."""
    count: int
    """How many."""


class ImportCounts(Wire):
    """What another cache gave."""

    format: str
    """Of its keys' layout."""
    prefix: str
    """Of its keys."""
    imported: int
    """Interactions that joined those that were recorded."""
    skipped: tuple[Count, ...] = ()
    """Keys that gave none, by reason, such as `not harvestable: no prompt`."""


class DomainCounts(Wire):
    """What a domain got. An example is an answer to learn; one row of the files may hold several of a conversation."""

    name: str
    """The domain."""
    train: int
    """Examples to learn from."""
    held_out: int
    """Examples kept for judging."""
    time_forward: int = 0
    """Examples of the newest conversations: not learned, and their loss is reported apart."""
    folds: int = 0
    """Where too few are there to hold any out: every example is to learn from, and judged by one of so many folds. 0: not needed."""
    judged: int = 0
    """Examples that a person liked or corrected."""
    reason: str | None = None
    """`InsufficientData` when all examples together are fewer than the job's minimum."""

    @property
    def examples(self) -> int:
        return self.train + self.held_out + self.time_forward


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
    quarantined: tuple[Count, ...] = ()
    """Interactions dropped because they look like an attempt to poison the adapter, by pattern; the sum is `Quarantined` in dropped."""
    outside_signal: int = 0
    """Thumbs and corrections on what was read. 0: the adapter would only learn what the model says already."""
    redacted: tuple[Count, ...] = ()
    """Things replaced by placeholders, by kind."""
    imported: tuple[ImportCounts, ...] = ()
    """What other caches gave; counted in read too."""
    domains: tuple[DomainCounts, ...] = ()
    """Examples by domain."""

    @classmethod
    def by_name(cls, uri: str, digest: str) -> "Dataset":
        """One of which only the name is known: who opens it reads the rest from its summary."""
        return cls(uri=uri, digest=digest, from_="", to="", read=0, kept=0)

    @property
    def is_only_named(self) -> bool:
        return not self.from_

    @property
    def trainable(self) -> tuple[str, ...]:
        return tuple(domain.name for domain in self.domains if domain.reason is None)


class StreamRead(Wire):
    """What was read of one stream."""

    name: str
    first: str
    """Id of the first entry read, as Redis gives it."""
    last: str
    """Id of the last one: the watermark, after which the next harvest finds what is new."""
    count: int
    lost: int = 0
    """Entries of the window that it no longer had."""


class DatasetManifest(Wire):
    """From what a dataset was made, and by what. An equal manifest means equal bits in the files that it names."""

    tool: str
    """Name and version of what harvested."""
    inputs: str
    """Digest of the harvest's configuration."""
    target: str
    """`<namespace>/<name>` of the InferenceTarget."""
    from_: str = Field(alias="from")
    to: str
    streams: tuple[StreamRead, ...] = ()
    """Those of the record, newest first."""
    filters: dict[str, str] = Field(default_factory=dict)
    """Each step of curation with its version: the digest of its code."""
    golden: str = ""
    """Digest over the golden sets that there were; "" before the first run."""
    read: int
    dropped: tuple[Count, ...] = ()
    redacted: tuple[Count, ...] = ()
    """What the filters did, by reason and kind."""
    imported: tuple[ImportCounts, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)
    """`sha256:...` of every other file of the dataset but the summary, by name."""
    erased: int = 0
    """Rows taken out since, because those whose they were are to be forgotten."""
    earlier_digests: tuple[str, ...] = ()
    """What the dataset's digest was before: by these, adapters say what they were trained on."""
