"""The identity of a base model: a digest over its contents, so that an adapter never meets another base."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

HUB_SCHEME = "hf://"
"""Of the URI of a base model in a hub: hf://org/model@revision."""
_PARTS = ("config.json", "tokenizer.json")
_PIECE = 1 << 20
"""Bytes that are hashed in about a millisecond."""


def base_digest(folder: Path) -> str:
    """`sha256:...` over the configuration, the tokenizer and every safetensors file, by name and content.

    Raises FileNotFoundError when the folder holds no safetensors.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise FileNotFoundError(f"no *.safetensors in {folder}")
    return digest_of([*(folder / name for name in _PARTS if (folder / name).exists()), *weights])


def digest_of(files: list[Path]) -> str:
    """`sha256:...` over name and content digest of each file, in the order given."""
    return _digest((file.name, _content_digest(file)) for file in files)


def digest_of_contents(contents: Mapping[str, bytes], throttle: Callable[[], None] = lambda: None) -> str:
    """The same over files already read, by name, in the order given. `throttle` is called again and again."""
    return _digest((name, _hashed(memoryview(content), throttle)) for name, content in contents.items())


def _content_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hashed(content: memoryview, throttle: Callable[[], None]) -> str:
    whole = hashlib.sha256()
    for begin in range(0, len(content), _PIECE):
        whole.update(content[begin : begin + _PIECE])
        throttle()
    return whole.hexdigest()


def _digest(named: Iterable[tuple[str, str]]) -> str:
    whole = hashlib.sha256()
    for name, content_digest in named:
        whole.update(f"{name} {content_digest}\n".encode())
    return f"sha256:{whole.hexdigest()}"
