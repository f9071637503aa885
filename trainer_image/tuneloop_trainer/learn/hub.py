"""A base model from a hub, by its URI `hf://org/model@revision`. HF_TOKEN says who asks, HF_ENDPOINT asks another hub."""

import os
from pathlib import Path

from tuneloop_contracts.base import HUB_SCHEME
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit, TryLater

FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "README.md")
"""Configuration, tokenizer, weights and the card: the licence is in it."""


def downloaded(uri: str) -> Path:
    """Files that are there already are not fetched again. Raises NeedsEdit (BASE_MODEL_NOT_FOUND) where the hub does not show the model
    to this pod, TryLater where it does not answer."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    name, _, revision = uri.removeprefix(HUB_SCHEME).partition("@")
    try:
        folder = snapshot_download(name, revision=revision or None, allow_patterns=list(FILES), endpoint=os.environ.get("HF_ENDPOINT"))
    except RevisionNotFoundError as error:
        raise NeedsEdit(FaultReason.BASE_MODEL_NOT_FOUND, f"spec.baseModel.uri {uri}: the hub has no revision {revision}") from error
    except (RepositoryNotFoundError, HFValidationError) as error:  # also where it is gated
        advice = "ask for access on the model's page, and put a token that has it as HF_TOKEN into the Secret of spec.baseModel.secretRef"
        message = f"spec.baseModel.uri {uri}: the hub says it is gated, private or not there; {advice}"
        raise NeedsEdit(FaultReason.BASE_MODEL_NOT_FOUND, message) from error
    except OSError as error:
        raise TryLater(FaultReason.STORE_UNAVAILABLE, f"{uri}: the hub does not give it now ({type(error).__name__})") from error
    return Path(folder)
