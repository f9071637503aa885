"""The model names that this pod answers to now. Pure."""

from tuneloop_contracts.names import AUTO
from tuneloop_server.errors import NotFound
from tuneloop_server.models.protocol import Model, ModelList
from tuneloop_server.routing import RoutingTable, newest


def list_models(table: RoutingTable, created: int) -> ModelList:
    """The base, `auto`, the domains, and each revision that is loaded."""
    base = Model(id=table.base, created=created, root=table.base)
    auto = Model(id=AUTO, created=created, root=table.base, parent=table.base)
    domains = [Model(id=name, created=created, root=_serving(name, table), parent=table.base) for name in table.domain_names]
    revisions = [Model(id=name, created=created, root=adapter.digest, parent=table.base) for name, adapter in table.loaded.items()]
    return ModelList(data=[base, auto, *domains, *revisions])


def find_model(name: str, table: RoutingTable, created: int) -> Model:
    """Raises NotFound."""
    for model in list_models(table, created).data:
        if model.id == name:
            return model
    raise NotFound(f"The model `{name[:200]}` does not exist", param="model", code="model_not_found")


def _serving(domain: str, table: RoutingTable) -> str:
    """What most requests for a domain get."""
    routes = table.manifest.routes.get(domain, ())
    if not routes:
        return table.base
    main = max(routes, key=lambda route: route.weight).to
    return main if main in table.loaded else newest(domain, table.loaded) or table.base
