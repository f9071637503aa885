"""What models think of rows: the base and any adapters, side by side in the same passes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.encode import Encoded
from tuneloop_trainer.learn.forward import nats, reading
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.lora.installed import installed
from tuneloop_trainer.learn.packs.pack import AdapterTree, Packer


@dataclass(frozen=True)
class ScoreRequest:
    adapter: str | None
    """None: the base alone."""
    row: Encoded


def row_losses(
    base: Base, adapters: Mapping[str, Adapter], asked: Sequence[ScoreRequest], on_tokens: Callable[[int], None] = lambda tokens: None
) -> list[torch.Tensor]:
    """Nats of each supervised token of each row, in the order asked; [supervised], float32, on the CPU.

    `on_tokens` hears how many tokens of rows each pass answered for. Raises ValueError for an adapter that is not of this base.
    """
    packer = Packer(base.placement.tokens_per_batch, base.placement.device, base.capabilities.forests)
    names = dict.fromkeys(one.adapter for one in asked)
    shares = [AdapterTree(name, tree) for name in names for tree in packer.trees([one.row for one in asked if one.adapter == name])]
    found: dict[tuple[str | None, int], torch.Tensor] = {}
    with torch.inference_mode(), installed(base, adapters) as active, reading(base.model, base.capabilities):
        for pack in packer.packs(shares):
            active.assign(pack.parts)
            by_row = torch.split(nats(base.model, base.capabilities, pack).cpu(), [row.supervised for row in pack.rows])
            keys = [(share.adapter, id(row)) for share in pack.shares for row in share.tree.rows]
            found.update(zip(keys, by_row, strict=True))
            on_tokens(sum(len(row.tokens) for row in pack.rows))
    return [found[one.adapter, id(one.row)] for one in asked]
