"""From tokens to text, a step at a time."""

import pytest

from tuneloop_server.engine.base import Piece, Sampling
from tuneloop_server.engine.row import Row, Vocabulary
from tuneloop_server.engine.text import Detokeniser, StopText

END = 256


def of_bytes(ids: object) -> str:
    """The hardest vocabulary: every byte is a token."""
    return bytes(token for token in ids if token != END).decode(errors="replace")  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["plain", "naïve café", "日本語です", "👩‍👩‍👧 family", "a\u0301 combined", ""])
def test_pieces_join_to_the_text_and_never_hold_half_a_character(text: str) -> None:
    words = Detokeniser(of_bytes)
    pieces = [words.push(byte) for byte in text.encode()] + [words.flush()]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_that_never_comes_whole_is_shown_broken_at_the_end() -> None:
    words = Detokeniser(of_bytes)
    assert [words.push(byte) for byte in "é".encode()[:1]] == [""]
    assert words.flush() == "\ufffd"


@pytest.mark.parametrize(
    ("stops", "pieces", "want", "stopped"),
    [
        pytest.param(["END"], ["hello E", "ND more"], "hello ", True, id="across pieces"),
        pytest.param(["END"], ["hello E", "Nough"], "hello ENough", False, id="held back, then let go"),
        pytest.param(["b", "ab"], ["xab"], "x", True, id="the earliest wins"),
        pytest.param([], ["all of it"], "all of it", False, id="no stop"),
        pytest.param(["\n\n"], ["one\n", "two\n"], "one\ntwo\n", False, id="what is held comes out at the end"),
    ],
)
def test_stop_sequences(stops: list[str], pieces: list[str], want: str, stopped: bool) -> None:
    stop = StopText(stops)
    got = ""
    for piece in pieces:
        text, done = stop.push(piece)
        got += text
        if done:
            break
    assert (got if done else got + stop.flush(), done) == (want, stopped)


@pytest.mark.parametrize(
    ("tokens", "sampling", "want_text", "want_finish"),
    [
        pytest.param([*b"hi", END], Sampling(9), "hi", "stop", id="end token"),
        pytest.param([*b"hi there"], Sampling(5), "hi th", "length", id="max tokens"),
        pytest.param([*b"hi there"], Sampling(9, stop=("the",)), "hi ", "stop", id="stop sequence"),
        pytest.param([*"né".encode()], Sampling(2), "n\ufffd", "length", id="cut inside a character"),
        pytest.param([*b"xen", END], Sampling(9, stop=("end",)), "xen", "stop", id="the end brings out what was held back"),
    ],
)
def test_a_row(tokens: list[int], sampling: Sampling, want_text: str, want_finish: str) -> None:
    out: list[Piece] = []
    row = Row([1], sampling, None, Vocabulary(of_bytes, frozenset({END})), out.append)  # type: ignore[arg-type]
    for token in tokens:
        if not row.finished:
            row.accept(token)
    assert ("".join(piece.text for piece in out), out[-1].finish) == (want_text, want_finish)
    assert [piece.finish for piece in out[:-1]] == [""] * (len(out) - 1)
