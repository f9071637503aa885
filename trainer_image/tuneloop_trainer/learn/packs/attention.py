"""Each token attends to its own row's past alone: one call of scaled dot product attention for each segment, over its lineage.

A dense mask would cost the square of a pack's tokens; here a segment's cost is its own length times its rows' past. It is registered
as an attention function of transformers, so every causal model that asks for one there can be packed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.nn.attention.bias import causal_lower_right
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface, PreTrainedModel

NAME = "tuneloop-forest"
MORE = ("softcap", "s_aux", "position_bias")
"""What models hand to their attention beyond scaled dot products: soft caps, sinks, biases by distance."""

LONG = 4
"""Times its own tokens: a segment that attends to so many is attended again in the backward pass. Kept for it, short rows behind a long
beginning would hold more of their past's keys and values than of all else; again costs 2 to 3 % there, and would cost 8 % elsewhere."""


@dataclass(frozen=True)
class Forest:
    """The segments of a pack, in the order of their tokens."""

    lengths: tuple[int, ...]
    lineages: tuple[tuple[int, ...], ...]
    """Of each segment: those before it in its rows, from the root on, then itself."""
    _masks: dict[tuple[int, int | None], torch.Tensor | None] = field(default_factory=dict)

    def past(self, segment: int) -> int:
        """Tokens of its lineage, its own among them."""
        return sum(self.lengths[n] for n in self.lineages[segment])

    def mask(self, segment: int, window: int | None, device: torch.device) -> torch.Tensor | None:
        """[tokens of the segment, tokens of its lineage], True where attended to; None where plain causality says it all."""
        key = (segment, window)
        if key not in self._masks:
            length, past = self.lengths[segment], self.past(segment)
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

    @torch.compiler.disable  # type: ignore[untyped-decorator]
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
            past_keys, past_values = ([parts[n] for n in lineage] for parts in (keys, values))
            mask = forest.mask(segment, sliding_window, query.device)
            over = _over_again if forest.past(segment) >= LONG * forest.lengths[segment] else _over
            attended.append(over(queries[segment], past_keys, past_values, mask, scaling))
        return torch.cat(attended, 2).transpose(1, 2).contiguous(), None


def _over(
    query: torch.Tensor, keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor], mask: torch.Tensor | None, scaling: float | None
) -> torch.Tensor:
    """Of one segment over its lineage."""
    key, value = (parts[0] if len(parts) == 1 else torch.cat([*parts], 2) for parts in (keys, values))
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=scaling, is_causal=mask is None, enable_gqa=True)


# What a segment's past is put together from is there once, however many segments it is the past of. So where it is LONG it is not kept,
# but put together again in the backward pass.
_over_again = partial(checkpoint, _over, use_reentrant=False, preserve_rng_state=False)

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
