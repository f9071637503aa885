"""Each token attends to its own row's past alone: one call of scaled dot product attention for each segment, over its lineage.

A dense mask would cost the square of a pack's tokens; here a segment's cost is its own length times its rows' past. It is registered
as an attention function of transformers, so every causal model that asks for one there can be packed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface, PreTrainedModel

NAME = "tuneloop-forest"
MORE = ("softcap", "s_aux", "position_bias")
"""What models hand to their attention beyond scaled dot products: soft caps, sinks, biases by distance."""


@dataclass(frozen=True)
class Forest:
    """The segments of a pack, in the order of their tokens."""

    lengths: tuple[int, ...]
    lineages: tuple[tuple[int, ...], ...]
    """Of each segment: those before it in its rows, from the root on, then itself."""
    _masks: dict[tuple[int, int | None], torch.Tensor | None] = field(default_factory=dict)

    def mask(self, segment: int, window: int | None, device: torch.device) -> torch.Tensor | None:
        """[tokens of the segment, tokens of its lineage], True where attended to; None where plain causality says it all."""
        key = (segment, window)
        if key not in self._masks:
            length, past = self.lengths[segment], sum(self.lengths[n] for n in self.lineages[segment])
            before = torch.arange(past - length, past, device=device)[:, None] - torch.arange(past, device=device)[None, :]
            windowless = window is None or past <= window
            if windowless and past == length:
                self._masks[key] = None
            elif windowless and device.type == "cuda":
                self._masks[key] = causal_lower_right(length, past)  # which flash attention knows, as it knows no mask
            else:
                self._masks[key] = (before >= 0) & (before < (window or past))
        return self._masks[key]


class _ForestAttention:
    """transformers' attention function, for one pack after another."""

    def __init__(self) -> None:
        self.forest = Forest((), ())

    def __call__(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        sliding_window: int | None = None,
        **others: Any,
    ) -> tuple[torch.Tensor, None]:
        """`query` [1, heads, tokens, width] -> [1, tokens, heads, width]. The base's own dropout stays off: the base is frozen.

        Raises ValueError for a model that does more to its scores than scale them.
        """
        if more := [name for name in MORE if others.get(name) is not None]:
            raise ValueError(f"attention with {', '.join(more)}")
        forest = self.forest
        queries, keys, values = (torch.split(whole, list(forest.lengths), dim=2) for whole in (query, key, value))
        attended = []
        for segment, lineage in enumerate(forest.lineages):
            past_keys, past_values = (torch.cat([parts[n] for n in lineage], 2) for parts in (keys, values))
            mask = forest.mask(segment, sliding_window, query.device)
            attended.append(
                torch.nn.functional.scaled_dot_product_attention(
                    queries[segment], past_keys, past_values, mask, scale=scaling, is_causal=mask is None, enable_gqa=True
                )
            )
        return torch.cat(attended, 2).transpose(1, 2).contiguous(), None


_attention = _ForestAttention()
AttentionInterface.register(NAME, _attention)


@contextmanager
def forest_attention(model: PreTrainedModel) -> Iterator[None]:
    """The model attends as `attend` says, until the end."""
    usual = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(usual)
        _attention.forest = Forest((), ())


def attend(forest: Forest) -> None:
    """Of the next forward and backward passes."""
    _attention.forest = forest
