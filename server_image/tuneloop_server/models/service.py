"""The model names that this pod answers to now. Pure."""

from tuneloop_contracts.names import AUTO
from tuneloop_server.errors import NotFound
from tuneloop_server.models.protocol import Model, ModelList
from tuneloop_server.routing import World, newest


def list_models(world: World, created: int) -> ModelList:
    """The base, `auto`, the domains, and each revision that is loaded."""
    base = Model(id=world.base, created=created, root=world.base)
    auto = Model(id=AUTO, created=created, root=world.base, parent=world.base)
    domains = [Model(id=name, created=created, root=_serving(name, world), parent=world.base) for name in world.domain_names]
    revisions = [Model(id=name, created=created, root=adapter.digest, parent=world.base) for name, adapter in world.loaded.items()]
    return ModelList(data=[base, auto, *domains, *revisions])


def find_model(name: str, world: World, created: int) -> Model:
    """Raises NotFound."""
    for model in list_models(world, created).data:
        if model.id == name:
            return model
    raise NotFound(f"The model `{name[:200]}` does not exist", param="model", code="model_not_found")


def _serving(domain: str, world: World) -> str:
    """What most requests for a domain get."""
    routes = world.manifest.routes.get(domain, ())
    if not routes:
        return world.base
    main = max(routes, key=lambda route: route.weight).to
    return main if main in world.loaded else newest(domain, world.loaded) or world.base
