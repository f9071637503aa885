"""Artifact URIs, and where a pod finds them.

`pvc://claim/path` is the claim mounted below STORES_ROOT, in every pod at the same place; `file:///path` is a local folder;
everything else (`s3://bucket/path`, ...) goes to fsspec as it is.
"""

import re
from dataclasses import dataclass
from pathlib import Path

STORES_ROOT = Path("/var/lib/tuneloop/stores")
URI_PATTERN = (
    r"^(pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[A-Za-z0-9._-]+)*/?|file:///[A-Za-z0-9._/-]+|s3://[a-z0-9][a-z0-9.-]*(/[A-Za-z0-9._=-]+)*/?)$"
)

_URI = re.compile(URI_PATTERN)


class BadUri(ValueError):
    """The URI must be edited; it names the URI and the forms that are allowed."""


@dataclass(frozen=True)
class Store:
    uri: str

    def __post_init__(self) -> None:
        if not _URI.match(self.uri) or ".." in self.uri.split("/"):
            raise BadUri(f"{self.uri!r} is not pvc://claim/path, file:///path or s3://bucket/path")

    @property
    def claim(self) -> str:
        """The PersistentVolumeClaim of a pvc:// store; "" for others."""
        return self.uri.removeprefix("pvc://").split("/")[0] if self.uri.startswith("pvc://") else ""

    @property
    def location(self) -> str:
        """What to hand to fsspec in a pod: an absolute path, or the URI itself."""
        if self.claim:
            return str(STORES_ROOT / self.uri.removeprefix("pvc://").rstrip("/"))
        return self.uri.removeprefix("file://")

    def below(self, *parts: str) -> "Store":
        return Store("/".join([self.uri.rstrip("/"), *parts]))


def claim_of(uri: str) -> str:
    """The PersistentVolumeClaim that a URI names; "" for one that names none, as hf:// does."""
    try:
        return Store(uri).claim
    except BadUri:
        return ""


def mount_path(claim: str) -> str:
    """Where every pod mounts a claim that holds artifacts."""
    return str(STORES_ROOT / claim)
