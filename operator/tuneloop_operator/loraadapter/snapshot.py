"""What a pass over one LoRAAdapter finds. Pure."""

from dataclasses import dataclass

from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.ledger.claims import Note
from tuneloop_operator.ledger.inputs import Adapter, Pod
from tuneloop_operator.ledger.model import Entry


@dataclass(frozen=True)
class Snapshot:
    """What a pass over one LoRAAdapter decides on."""

    adapter: Adapter
    target: InferenceTargetSpec | None
    pods: tuple[Pod, ...] = ()
    entry: Entry | None = None
    """As the ConfigMap has it; None until the target's pass has written one."""
    note: Note | None = None
    """Why it does not move."""
