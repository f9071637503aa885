# /// script
# requires-python = ">=3.11"
# dependencies = ["litellm==1.110.2", "redisvl==0.28.0", "redis==8.1.0"]
# ///
"""LiteLLM writes its exact and its semantic cache, by the way that a completion takes."""

import asyncio
import sys

import litellm
from litellm.caching.caching import Cache
from litellm.caching.redis_semantic_cache import RedisSemanticCache

url = sys.argv[1]
RedisSemanticCache._get_embedding = lambda self, *_, **__: [0.25, 0.5, 0.75]
MESSAGES = [{"role": "system", "content": "Be brief. "}, {"role": "user", "content": "What is a 'patent'?"}]


def ask(answer: str) -> None:
    litellm.completion(model="gpt-4o-mini", messages=MESSAGES, mock_response=answer, caching=True)


litellm.cache = Cache(type="redis", url=url, namespace="proxy")
ask("A right of the inventor.")
asyncio.run(litellm.acompletion(model="gpt-4o", messages=MESSAGES, mock_response="A right.", caching=True))
litellm.cache = Cache(type="redis-semantic", redis_url=url, similarity_threshold=0.9)
ask('A right, or "privilege", of\nthe inventor\'s.')
