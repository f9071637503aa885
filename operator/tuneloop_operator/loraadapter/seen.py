"""The world around one LoRAAdapter, as a pass finds it. Pure."""

from dataclasses import dataclass

from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.ledger.claims import Note
from tuneloop_operator.ledger.model import Entry
from tuneloop_operator.ledger.seen import Adapter, Pod


@dataclass(frozen=True)
class Seen:
    """The world around one LoRAAdapter."""

    adapter: Adapter
    target: InferenceTargetSpec | None
    pods: tuple[Pod, ...] = ()
    entry: Entry | None = None
    """As the ConfigMap has it; None until the target's pass has written one."""
    note: Note | None = None
    """Why it does not move."""
