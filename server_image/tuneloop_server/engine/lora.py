"""The adapters beside the base, by PEFT. Called on the worker's thread only."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import set_peft_model_state_dict

from tuneloop_server.engine.batch import Model

CONFIG_FIELDS = ("r", "lora_alpha", "target_modules", "use_rslora", "fan_in_fan_out")
"""All of adapter_config.json that changes what a loaded adapter computes, once preflight has refused the rest."""


class Adapters:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._peft: Any = None
        self._layers: list[BaseTunerLayer] = []
        self._in_use: str | None = None

    def add(self, handle: str, config: Mapping[str, object], weights: Mapping[str, torch.Tensor]) -> None:
        """Leaves nothing behind when it raises."""
        chosen: dict[str, Any] = {name: config[name] for name in CONFIG_FIELDS if name in config}
        try:
            peft = self._inject(handle, LoraConfig(**chosen, inference_mode=True))
            fitted: Any = set_peft_model_state_dict(peft, dict(weights), adapter_name=handle, low_cpu_mem_usage=True)
            if fitted.unexpected_keys:
                raise ValueError(f"{len(fitted.unexpected_keys)} tensors fit nowhere")
        except Exception:
            self.remove(handle)
            raise
        finally:
            self._refresh()

    def remove(self, handle: str) -> None:
        self._refresh()  # so that it is not in use: PEFT would put another in its place
        if self._peft is not None and handle in self._peft.peft_config:
            self._peft.delete_adapter(handle)
        self._refresh()

    def use(self, handle: str | None) -> None:
        """Compute with this adapter from now on; None = the base alone."""
        if handle == self._in_use:
            return
        names: list[str] = [handle] if handle else []
        for layer in self._layers:
            layer.set_adapter(names, inference_mode=True)
        self._in_use = handle

    def _inject(self, handle: str, lora: LoraConfig) -> Any:
        """`low_cpu_mem_usage`: the weights come a moment later, so random ones are not drawn first (a quarter of the time)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT 0.21 reads an attribute that transformers 5 renamed
            if self._peft is None:
                self._peft = get_peft_model(self._model, lora, adapter_name=handle, low_cpu_mem_usage=True)
            else:
                self._peft.add_adapter(handle, lora, low_cpu_mem_usage=True)
        return self._peft.eval()

    def _refresh(self) -> None:
        """PEFT switches adapters when it adds or deletes one: start again from the base alone."""
        self._layers = [module for module in self._model.modules() if isinstance(module, BaseTunerLayer)]
        self._in_use = "?"
        self.use(None)


class Probe:
    """Does an adapter change anything? Its logits on a fixed prompt against the base's."""

    def __init__(self, model: Model, prompt: list[int]) -> None:
        self._model = model
        self._ids = torch.tensor([prompt], device=model.device)
        self._base = self._logits()

    def max_delta(self) -> float:
        """Of the adapter in use; NaN or infinite when it is broken."""
        return float((self._logits() - self._base).abs().max())

    def _logits(self) -> Any:
        with torch.inference_mode():
            return self._model(input_ids=self._ids).logits.float()
