"""An adapter on disk: PEFT's directory, plus where it came from.

adapter_config.json         PEFT's
adapter_model.safetensors   PEFT's; never a pickle
provenance.json             Provenance, below
README.md                   the card, for people
"""

from pathlib import Path

from tuneloop_contracts.base import digest_of
from tuneloop_contracts.model import Wire

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
PROVENANCE_FILE = "provenance.json"
CARD_FILE = "README.md"
FILES = (CONFIG_FILE, WEIGHTS_FILE, PROVENANCE_FILE, CARD_FILE)
DIGESTED_FILES = (CONFIG_FILE, WEIGHTS_FILE, PROVENANCE_FILE)
"""What is loaded, in the order of the digest: configuration, weights and provenance (which names the base)."""


class Provenance(Wire):
    """What an adapter was made from; read again before it is loaded."""

    domain: str
    base_model: str
    base_digest: str
    dataset_digest: str
    data_from: str
    data_until: str
    target: str
    fine_tune_job: str = ""
    rank: int
    alpha: int
    examples: int
    loss_base: str
    loss_candidate: str


def adapter_digest(folder: Path) -> str:
    """`sha256:...` over DIGESTED_FILES. Raises FileNotFoundError naming the missing file."""
    return digest_of([folder / name for name in DIGESTED_FILES])


def folder_name(digest: str) -> str:
    """`sha256-<hex>`: where a store keeps an adapter, below its domain."""
    return digest.replace(":", "-")
