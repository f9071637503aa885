"""A folder that holds no whole model ends the server with MODEL_PATH's name, not in a traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tinymodel import make_tiny_model
from tuneloop_server.engine.start import started
from tuneloop_server.settings import BadSettings, Settings


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("model.safetensors", Path.unlink),
        ("model.safetensors", cut),
        ("config.json", Path.unlink),
        ("config.json", lambda file: file.write_text("{")),
        ("config.json", lambda file: file.write_text('{"model_type": "nonsense"}')),
        ("tokenizer.json", Path.unlink),
    ],
)
async def test_it_is_named(tmp_path: Path, name: str, spoil: Callable[[Path], object]) -> None:
    spoil(make_tiny_model(tmp_path) / name)
    with pytest.raises(BadSettings, match=f"^MODEL_PATH: {tmp_path} .*: ."):
        async with started(Settings(tmp_path, "tiny")):
            pass
