"""Carries out what a pass over an InferenceTarget decided."""

import logging

from tuneloop_operator.api.kinds import CONFIG_MAPS, Object
from tuneloop_operator.api.owners import controller_of
from tuneloop_operator.clients.errors import AlreadyExists, NotAllowed, Rejected, Stale
from tuneloop_operator.clients.kube import Kube

log = logging.getLogger(__name__)

LARGEST = 2**20
"""Bytes of a ConfigMap's data: https://kubernetes.io/docs/concepts/configuration/configmap/"""


class ConfigMapRefused(Exception):
    """The ConfigMap cannot be written until somebody edits something: the target itself or the ConfigMap, unless `needs_edit` is False."""

    def __init__(self, reason: str, message: str, *, needs_edit: bool = True) -> None:
        super().__init__(message)
        self.reason, self.needs_edit = reason, needs_edit


async def keep_config_map(kube: Kube, wanted: Object, found: Object | None) -> bool:
    """Create it, or replace the very version that was read; True if anything was written.

    Raises ConfigMapRefused, and Stale if somebody was quicker: the next pass reads again.
    """
    namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
    try:
        return await _kept(kube, wanted, found)
    except AlreadyExists:
        raise Stale(f"ConfigMap {namespace}/{name} has just been made by somebody else") from None
    except NotAllowed as error:
        message = f"a quota, an admission rule or a Role refuses ConfigMap {name}: {error}"
        raise ConfigMapRefused("NotAllowed", message, needs_edit=False) from None
    except Rejected as error:
        size = sum(len(text.encode()) for text in wanted["data"].values())
        too_long = (
            f"it would hold {size} bytes, of at most {LARGEST}; "
            "give the target fewer domains, keywords or examples, or its LoRAAdapters a lower revisionHistoryLimit"
        )
        why = too_long if size > LARGEST else f"{error}; if somebody made it immutable, delete it"
        raise ConfigMapRefused("ManifestRefused", f"the API server refuses ConfigMap {name}: {why}") from None


async def _kept(kube: Kube, wanted: Object, found: Object | None) -> bool:
    namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
    if found is None:
        await kube.create(CONFIG_MAPS, namespace, wanted)
        return True
    theirs, ours = controller_of(found), controller_of(wanted)
    if theirs.get("uid") != ours["uid"]:
        if (theirs.get("kind"), theirs.get("name")) == (ours["kind"], ours["name"]):
            raise Stale(f"ConfigMap {namespace}/{name} of an earlier target of this name is being cleaned up")
        raise ConfigMapRefused("NameConflict", f"ConfigMap {name} exists and is not this target's; rename or delete it")
    if found.get("data") == wanted["data"] and wanted["metadata"]["labels"].items() <= found["metadata"].get("labels", {}).items():
        return False
    version = {"resourceVersion": found["metadata"]["resourceVersion"], "uid": found["metadata"]["uid"]}
    await kube.replace(CONFIG_MAPS, namespace, wanted | {"metadata": wanted["metadata"] | version})
    log.info("ConfigMap %s/%s written", namespace, name)
    return True
