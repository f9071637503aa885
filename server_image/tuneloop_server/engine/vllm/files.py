"""An adapter as the folder that vLLM reads it from: now, and again whenever it has to make room in its memory."""

import hashlib
import json
import shutil
from pathlib import Path

from tuneloop_contracts.adapters import CONFIG_FILE, WEIGHTS_FILE
from tuneloop_server.engine.base import AdapterWeights


def content_digest(adapter: AdapterWeights) -> str:
    """16 hexadecimal digits over all that `write` writes."""
    return hashlib.sha256(_config(adapter) + adapter.weights).hexdigest()[:16]


def write(folder: Path, adapter: AdapterWeights) -> None:
    """Written beside and renamed, so that a folder that is there is whole. Only what preflight has checked goes in."""
    partial = folder.with_name(f"{folder.name}.partial")
    remove(partial)
    partial.mkdir(parents=True)
    (partial / CONFIG_FILE).write_bytes(_config(adapter))
    (partial / WEIGHTS_FILE).write_bytes(adapter.weights)
    remove(folder)
    partial.rename(folder)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def empty(folder: Path) -> None:
    """Raises OSError when it cannot be made."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        remove(entry)


def _config(adapter: AdapterWeights) -> bytes:
    return json.dumps({"peft_type": "LORA", **adapter.config}, sort_keys=True).encode()
