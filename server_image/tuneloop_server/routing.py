"""Which revision answers a request. Pure: `decide` takes all it needs to know."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tuneloop_contracts.domains import DEFAULT_DOMAINS, Domain, classify
from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter, Route
from tuneloop_contracts.names import AUTO, revision_number
from tuneloop_server.errors import BadRequest, NotFound

TEXT_LIMIT = 8000
"""Characters of a conversation's end that decide on its domain."""


@dataclass(frozen=True)
class RouteQuery:
    """What of a request matters here."""

    model: str
    tag: str
    """The X-Domain header, or ""."""
    text: str
    """What the user wrote, all turns."""
    sticky: str
    """User or conversation: who always gets the same revision while weights stand."""


@dataclass(frozen=True)
class RoutingTable:
    base: str
    manifest: AdapterManifest
    loaded: Mapping[str, ManifestAdapter]

    @property
    def domains(self) -> tuple[Domain, ...]:
        return self.manifest.domains or DEFAULT_DOMAINS

    @property
    def domain_names(self) -> tuple[str, ...]:
        return tuple(domain.name for domain in self.domains)


@dataclass(frozen=True)
class Decision:
    revision: str | None
    """None: the base."""
    domain: str
    """Of the record; "" when the text belongs to none."""
    tagged: bool
    """The client named the domain."""
    missing: str = ""
    """The revision that the route names, when another had to stand in."""


def decide(query: RouteQuery, table: RoutingTable) -> Decision:
    """The first rule that speaks decides. Raises NotFound for a model that we do not have: never the base in its stead."""
    if query.tag and query.tag not in table.domain_names:
        names = ", ".join(table.domain_names)
        raise BadRequest(f"X-Domain must be one of {names}", param="X-Domain", code="unknown_domain")
    for rule in RULES:
        if decision := rule(query, table):
            return decision
    raise NotFound(f"The model `{query.model[:200]}` does not exist", param="model", code="model_not_found")


def by_content(query: RouteQuery, table: RoutingTable) -> Decision | None:
    by_name = query.model == table.base and table.manifest.base_name_by_content
    return _routed(_domain(query, table), bool(query.tag), query, table) if query.model == AUTO or by_name else None


def base_by_name(query: RouteQuery, table: RoutingTable) -> Decision | None:
    return Decision(None, _domain(query, table), bool(query.tag)) if query.model == table.base else None


def domain_by_name(query: RouteQuery, table: RoutingTable) -> Decision | None:
    return _routed(query.model, True, query, table) if query.model in table.domain_names else None


def revision_by_name(query: RouteQuery, table: RoutingTable) -> Decision | None:
    adapter = table.loaded.get(query.model)
    return Decision(adapter.name, adapter.domain, True) if adapter else None


Rule = Callable[[RouteQuery, RoutingTable], Decision | None]
RULES: tuple[Rule, ...] = (by_content, base_by_name, domain_by_name, revision_by_name)


def _domain(query: RouteQuery, table: RoutingTable) -> str:
    return query.tag or _classify(query.text[-TEXT_LIMIT:], table.domains)


@lru_cache(maxsize=1024)
def _classify(text: str, domains: tuple[Domain, ...]) -> str:
    """Remembered, since a repeated question takes longer to classify than to answer from the cache."""
    return classify(text, domains)


def _routed(domain: str, tagged: bool, query: RouteQuery, table: RoutingTable) -> Decision:
    chosen = weigh(table.manifest.routes.get(domain, ()), f"{domain} {query.sticky}", table.manifest.salt)
    if not chosen or chosen in table.loaded:
        return Decision(chosen or None, domain, tagged)
    return Decision(newest(domain, table.loaded), domain, tagged, missing=chosen)


def weigh(routes: tuple[Route, ...], sticky: str, salt: str) -> str:
    """The revision for this user or conversation: always the same while routes and salt stand. "" without a route."""
    total = sum(route.weight for route in routes)
    if total <= 0:
        return ""
    draw = int.from_bytes(hmac.digest(salt.encode(), sticky.encode(), hashlib.sha256)[:8]) % total
    for route in routes:
        draw -= route.weight
        if draw < 0:
            return route.to
    return ""


def newest(domain: str, loaded: Mapping[str, ManifestAdapter]) -> str | None:
    """What stands in for a revision that is not loaded here; None: the base."""
    names = [adapter.name for adapter in loaded.values() if adapter.domain == domain]
    return max(names, key=revision_number, default=None)
