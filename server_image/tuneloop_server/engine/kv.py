"""Keys and values of the rows that are decoded together, in memory that is there already.

    row 0   p p p p a . . .      p prompt, a answer so far, . room
    row 1   p p p p p p a a

A row is written at its own length, so rows of every length stand side by side without being moved; `mask` hides the room.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer

FIRST_ROOM = 256
"""Tokens that a row has room for at first; at least doubled when one grows longer."""


class Lengths:
    """How long each row is; shared by all layers."""

    def __init__(self, device: torch.device) -> None:
        self.of = torch.zeros(0, dtype=torch.long, device=device)
        """[rows]: tokens in memory, and so the place of the next."""
        self.rows = torch.zeros(0, dtype=torch.long, device=device)
        """[rows]: 0, 1, 2 …"""
        self.longest = 0
        self._places: dict[tuple[int, int], torch.Tensor] = {}

    def set(self, lengths: torch.Tensor) -> None:
        self.of, self.rows = lengths, torch.arange(len(lengths), device=lengths.device)
        self.longest = int(lengths.max()) if len(lengths) else 0
        self._places.clear()

    def advance(self) -> None:
        self.of = self.of + 1
        self.longest += 1
        self._places.clear()

    def places(self, heads: int, room: int) -> torch.Tensor:
        """[rows * heads]: of the next tokens, in memory of [rows, heads, room]. The same for most layers of a step."""
        if (heads, room) not in self._places:
            lines = self.rows[:, None] * heads + torch.arange(heads, device=self.of.device)
            self._places[heads, room] = (lines * room + self.of[:, None]).flatten()
        return self._places[heads, room]

    def mask(self) -> torch.Tensor:
        """[rows, longest + 1]: what each row may look at, its next token included."""
        return torch.arange(self.longest + 1, device=self.of.device) <= self.of[:, None]


class RowLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer's keys and values, [rows, heads, room, width]; decoding only: one new token a row."""

    is_sliding = False

    def __init__(self, lengths: Lengths, keys: torch.Tensor, values: torch.Tensor, rows: int, room: int) -> None:
        """`keys`, `values`: those of a prompt, for their shapes."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._lengths = lengths
        self._keys, self._values = (_with_room(like, rows, room) for like in (keys, values))

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        raise AssertionError("rows come with their prompts")

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        rows, end = len(self._lengths.rows), self._lengths.longest + 1
        at = self._lengths.places(*self._keys.shape[1:3])
        for held, new in (self._keys, key_states), (self._values, value_states):
            held.view(-1, held.shape[-1]).index_copy_(0, at, new.reshape(-1, held.shape[-1]))  # half the time of held[rows, :, of] = new
        return self._keys[:rows, :, :end], self._values[:rows, :, :end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._lengths.longest + query_length, 0

    def get_seq_length(self) -> int:
        return self._lengths.longest

    def get_max_length(self) -> int:
        return -1

    def put(self, row: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """[heads, length, width] each."""
        self._keys[row, :, : keys.shape[1]] = keys
        self._values[row, :, : values.shape[1]] = values

    @property
    def room(self) -> int:
        return self._keys.shape[2]

    def make_room(self, tokens: int) -> None:
        if tokens <= self.room:
            return
        rows, room, end = self._keys.shape[0], max(tokens, 2 * self.room), self._lengths.longest
        self._keys, self._values = (_with_room(held, rows, room, keep=end) for held in (self._keys, self._values))

    def move(self, places: torch.Tensor, sources: torch.Tensor) -> None:
        end = self._lengths.longest
        for held in (self._keys, self._values):
            held[places, :, :end] = held[sources, :, :end]


class RowCache(Cache):
    def __init__(self, max_rows: int, device: torch.device) -> None:
        super().__init__(layers=[])
        self.lengths = Lengths(device)
        self._max_rows = max_rows
        self._rows: list[RowLayer] = []

    def put(self, row: int, prompts: DynamicCache, lengths: Sequence[int]) -> None:
        """Prompts that have been read, padded on the left, into the places from `row` on."""
        longest = max(lengths)
        self.make_room(longest + 1)
        read: Any = prompts.layers
        if not self._rows:
            room = max(longest + 1, FIRST_ROOM)
            self._rows = [RowLayer(self.lengths, layer.keys, layer.values, self._max_rows, room) for layer in read]
            self.layers = list(self._rows)
        for kept, layer in zip(self._rows, read, strict=True):
            for n, length in enumerate(lengths):
                kept.put(row + n, layer.keys[n, :, -length:], layer.values[n, :, -length:])

    def make_room(self, tokens: int) -> None:
        """For rows of so many tokens."""
        for layer in self._rows:
            layer.make_room(tokens)

    def look_ahead(self, tokens: int, most: int) -> None:
        """Widen one layer that will soon be too narrow for rows that have `tokens` and will have `most`: so, with one a step, no step
        has to widen all of them, which takes as long as several steps."""
        soon = min(tokens + len(self._rows), most)
        if narrow := next((layer for layer in self._rows if layer.room < soon), None):
            narrow.make_room(soon)

    def order(self, sources: Sequence[int]) -> None:
        """Row n becomes what row `sources[n]` was."""
        moved = [(place, source) for place, source in enumerate(sources) if place != source]
        if moved:
            places, froms = torch.tensor(moved, device=self.lengths.of.device).t()
            for layer in self._rows:
                layer.move(places, froms)


def fits_rows(prompt: DynamicCache) -> bool:
    """Sliding windows and other kinds of memory cannot share rows of every length."""
    return all(type(layer) is DynamicLayer for layer in prompt.layers)


def _with_room(like: torch.Tensor, rows: int, room: int, keep: int = 0) -> torch.Tensor:
    """[rows, heads, room, width], the first `keep` tokens from `like`. Zeros, since attention multiplies by zero what it hides."""
    _, heads, _, width = like.shape
    more = like.new_zeros((rows, heads, room, width))
    if keep:
        more[:, :, :keep] = like[:, :, :keep]
    return more
