"""What no training here uses of torch and transformers, and so does not wait for: torch's compiler, tensors spread over processes, and
attention that must be compiled. transformers imports them all to mark functions and to ask for types, and with them a symbolic algebra;
it is a third of all that a job does before its first step.

The compiler is not taken away: whoever asks it for more than a mark gets it then.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
MARKS = {"allow_in_graph", "assume_constant_result", "disable", "forbid_in_graph", "graph_break", "mark_static_address"}
"""What functions are told for the day that they are compiled."""


def leave_out(*, alone: bool, quantized: bool) -> None:
    """Before transformers is imported. `alone`: no other process trains with this one. `quantized`: by bitsandbytes, which PEFT imports
    wherever it is, and the compiler with it."""
    if not quantized:
        sys.modules.setdefault("bitsandbytes", None)  # type: ignore[arg-type] # Python's own mark of what cannot be imported
    if COMPILER in sys.modules:
        return
    import torch
    import torch.distributed

    torch._dynamo = _Unread.in_place_of(COMPILER, used=f"{COMPILER}._trace_wrapped_higher_order_op")
    if alone:
        torch.distributed.is_available = lambda: False
    import transformers.utils

    for module in (transformers.utils, transformers.utils.import_utils):
        module.is_torch_flex_attn_available = lambda: False  # type: ignore[attr-defined]


class _Unread(ModuleType):
    """A package whose code runs when it is asked for more than a mark, or for a part that is not `used`."""

    @classmethod
    def in_place_of(cls, name: str, used: str) -> "_Unread":
        module, spec = cls(name), find_spec(name)
        module.__spec__ = spec
        module.__path__ = _places(spec)
        sys.modules[name] = module
        import_module(used)
        del module.__path__
        return module

    def __getattr__(self, name: str) -> Any:
        if name in MARKS:
            return _unmarked
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        spec = self.__spec__
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__path__ = _places(spec)
        if spec and spec.loader:
            spec.loader.exec_module(self)
        return getattr(self, name)


def _places(spec: ModuleSpec | None) -> list[str]:
    return list(spec.submodule_search_locations or ()) if spec else []


def _unmarked(function: Any = None, *_: Any, **__: Any) -> Any:
    """As a decorator, with arguments or without."""
    return _unmarked if function is None else function
