"""What a request becomes before the model reads it: answers are of one chat template, which no digest of the weights covers."""

from pathlib import Path

from tuneloop_contracts.base import digest_of

_FILES = ("chat_template.jinja", "tokenizer_config.json")
"""Where a model's folder has its chat template: in a file of its own, or in the tokenizer's as older ones do."""


def template_digest(folder: Path) -> str:
    """Of the base's chat template, wherever it is decoded."""
    return digest_of([folder / name for name in _FILES if (folder / name).exists()])
