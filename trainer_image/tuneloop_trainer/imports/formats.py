"""The registry: which layouts a format has, and where its own library keeps its keys. Pure."""

from dataclasses import dataclass

from tuneloop_contracts.jobs import ImportFormat
from tuneloop_trainer.imports import gptcache, langchain, litellm, redisvl, semantic_router
from tuneloop_trainer.imports.layout import OTHER_LAYOUT, Imported, Layout, RedisValue, Unusable


@dataclass(frozen=True)
class Format:
    layouts: tuple[Layout, ...]
    prefixes: tuple[str, ...]
    """Where an import names none."""

    def parse(self, stored: RedisValue) -> Imported | str:
        """What the first layout that knows the key makes of it, else the reason for which it gives nothing."""
        try:
            found = (layout(stored) for layout in self.layouts)
            return next((imported for imported in found if imported is not None), OTHER_LAYOUT)
        except Unusable as unusable:
            return unusable.reason


FORMATS = {
    ImportFormat.REDISVL: Format(redisvl.LAYOUTS, redisvl.PREFIXES),
    ImportFormat.LANGCHAIN_REDIS: Format(langchain.LAYOUTS, langchain.PREFIXES),
    ImportFormat.SEMANTIC_ROUTER: Format(semantic_router.LAYOUTS, semantic_router.PREFIXES),
    ImportFormat.GPTCACHE: Format(gptcache.LAYOUTS, gptcache.PREFIXES),
    ImportFormat.LITELLM: Format(litellm.LAYOUTS, litellm.PREFIXES),
}
