"""Model name -> revision, as a table."""

import pytest

from tuneloop_contracts.domains import Domain
from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter, Route
from tuneloop_server.errors import BadRequest, NotFound
from tuneloop_server.routing import Decision, RouteQuery, RoutingTable, decide, weigh

V1, V2, LEGAL = "support-v1-aaaaaaaa", "support-v2-bbbbbbbb", "legal-v10-cccccccc"
ADAPTERS = {name: ManifestAdapter(name=name, domain=name.split("-")[0], uri="file:///x", digest="sha256:0") for name in (V1, V2, LEGAL)}
DOMAINS = (Domain(name="support", keywords=("refund",)), Domain(name="legal", keywords=("court",)), Domain(name="general"))


def a_table(loaded: tuple[str, ...] = (V1, V2, LEGAL), *, by_content: bool = False, **routes: str) -> RoutingTable:
    manifest = AdapterManifest(
        adapters=tuple(ADAPTERS.values()),
        routes={domain: (Route(to=to),) for domain, to in routes.items()},
        domains=DOMAINS,
        base_name_by_content=by_content,
        salt="s",
    )
    return RoutingTable("smollm2", manifest, {name: ADAPTERS[name] for name in loaded})


def a_query(model: str, text: str = "I want a refund", tag: str = "") -> RouteQuery:
    return RouteQuery(model, tag, text, "somebody")


@pytest.mark.parametrize(
    ("query", "table", "want"),
    [
        pytest.param(a_query("smollm2"), a_table(support=V2), Decision(None, "support", False), id="the base by name is the base"),
        pytest.param(
            a_query("smollm2", tag="legal"),
            a_table(legal=LEGAL),
            Decision(None, "legal", True),
            id="a tag on the base only tags the record",
        ),
        pytest.param(
            a_query("smollm2"), a_table(by_content=True, support=V2), Decision(V2, "support", False), id="the base by content if so set"
        ),
        pytest.param(a_query("auto"), a_table(support=V2), Decision(V2, "support", False), id="auto goes by content"),
        pytest.param(
            a_query("auto", tag="legal"), a_table(support=V2, legal=LEGAL), Decision(LEGAL, "legal", True), id="X-Domain overrides content"
        ),
        pytest.param(a_query("auto", "hello"), a_table(support=V2), Decision(None, "general", False), id="no keyword: general, unrouted"),
        pytest.param(a_query("support", "court"), a_table(support=V1), Decision(V1, "support", True), id="a domain by name"),
        pytest.param(a_query("legal"), a_table(), Decision(None, "legal", True), id="a domain without a route answers from the base"),
        pytest.param(a_query(V1), a_table(support=V2), Decision(V1, "support", True), id="a revision by name, routed or not"),
        pytest.param(
            a_query("support"),
            a_table((V1, LEGAL), support=V2),
            Decision(V1, "support", True, missing=V2),
            id="stand-in: the newest loaded",
        ),
        pytest.param(
            a_query("support"), a_table((LEGAL,), support=V2), Decision(None, "support", True, missing=V2), id="stand-in: else the base"
        ),
    ],
)
def test_decide(query: RouteQuery, table: RoutingTable, want: Decision) -> None:
    assert decide(query, table) == want


@pytest.mark.parametrize("model", ["gpt-4", "support-v9-dddddddd", V2, "SUPPORT", "smollm2 "])
def test_anything_else_is_not_found_and_never_the_base(model: str) -> None:
    with pytest.raises(NotFound) as refused:
        decide(a_query(model), a_table((V1,), support=V1))
    assert refused.value.body()["error"]["code"] == "model_not_found"  # type: ignore[index]


def test_an_unknown_domain_header_is_refused() -> None:
    with pytest.raises(BadRequest, match="support, legal, general"):
        decide(a_query("auto", tag="cooking"), a_table())


def test_without_a_manifest_the_default_domains_answer_from_the_base() -> None:
    table = RoutingTable("smollm2", AdapterManifest(), {})
    assert decide(a_query("technical"), table) == Decision(None, "technical", True)


def test_the_newest_is_by_number_not_by_name() -> None:
    nine = ManifestAdapter(name="legal-v9-ffffffff", domain="legal", uri="file:///x", digest="sha256:0")
    table = RoutingTable("smollm2", a_table(legal="legal-v11-eeeeeeee").manifest, {nine.name: nine, LEGAL: ADAPTERS[LEGAL]})
    assert decide(a_query("legal"), table).revision == LEGAL


ROUTES = (Route(to=V1, weight=90), Route(to=V2, weight=10))


def test_weights_are_kept_over_many_users() -> None:
    chosen = [weigh(ROUTES, f"support user-{n}", "salt") for n in range(5000)]
    assert 0.08 < chosen.count(V2) / len(chosen) < 0.12


def test_a_user_keeps_their_revision_while_the_canary_grows() -> None:
    canary = [f"support user-{n}" for n in range(500) if weigh(ROUTES, f"support user-{n}", "salt") == V2]
    grown = (Route(to=V1, weight=50), Route(to=V2, weight=50))
    assert all(weigh(grown, user, "salt") == V2 for user in canary)


@pytest.mark.parametrize("routes", [(), (Route(to=V1, weight=0),)])
def test_no_weight_is_no_route(routes: tuple[Route, ...]) -> None:
    assert weigh(routes, "x", "s") == ""
