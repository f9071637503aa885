"""Operator -> server: the adapters a target should serve. One ConfigMap per target, which every pod watches."""

import hashlib

from pydantic import Field

from tuneloop_contracts.domains import Domain
from tuneloop_contracts.model import Wire

MANIFEST_KEY = "manifest.json"
MANIFEST_VERSION = 1


class ManifestAdapter(Wire):
    """A revision that pods should hold: `uri` is the artifact's own directory."""

    name: str
    domain: str
    uri: str
    digest: str


class Route(Wire):
    to: str
    """A revision's name."""
    weight: int = 100
    """Percent of the domain's requests."""


class AdapterManifest(Wire):
    version: int = MANIFEST_VERSION
    base_model: str = ""
    """Name of the base model, as clients ask for it."""
    adapters: tuple[ManifestAdapter, ...] = ()
    """Everything to keep loaded: what routes name, candidates, and the revision to fall back to."""
    routes: dict[str, tuple[Route, ...]] = Field(default_factory=dict)
    """By domain. A revision that failed to load falls back to the newest loaded one of its domain, else to the base."""
    domains: tuple[Domain, ...] = ()
    base_name_by_content: bool = False
    """True: a request for the base model by name is routed by content too."""
    max_loaded_adapters: int = 8
    salt: str = ""
    """Keys the hashes of users and the marks on interaction ids; stable for the life of the target."""


def salt_of(uid: str) -> str:
    """The salt of the InferenceTarget with this uid: another target of the same name, made later, hashes otherwise."""
    return hashlib.sha256(f"tuneloop:{uid}".encode()).hexdigest()[:32]
