"""An adapter into the store: PEFT's directory, where it came from, and its card; under the digest of its contents."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tuneloop_contracts.adapters import CARD_FILE, CONFIG_FILE, PROVENANCE_FILE, Provenance, adapter_digest, folder_name
from tuneloop_contracts.stores import Store
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.lora.adapter import Adapter, save
from tuneloop_trainer.store import publish_folder


def publish_adapter(base: Base, adapter: Adapter, provenance: Provenance, card: str, adapters: Store) -> tuple[str, str]:
    """Gives digest and URI. The same contents have the same place, so a second time changes nothing."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save(base, adapter, folder)
        _clean(folder / CONFIG_FILE, provenance.base_model)
        (folder / PROVENANCE_FILE).write_text(json.dumps(provenance.to_wire(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
        digest = adapter_digest(folder)
        store = adapters.below(provenance.domain, folder_name(digest))
        publish_folder(folder, store, marker=CONFIG_FILE)
    return digest, store.uri


def _clean(file: Path, base_model: str) -> None:
    """PEFT writes the folder that the base was loaded from, and sets in an order that changes with each process."""
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_model
    config["target_modules"] = sorted(config["target_modules"])
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
