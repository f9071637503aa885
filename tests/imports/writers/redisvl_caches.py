# /// script
# requires-python = ">=3.11"
# dependencies = ["redisvl==0.28.0", "redis==8.1.0"]
# ///
"""RedisVL writes its semantic cache, its message history and its embeddings cache."""

import sys

from redisvl.extensions.cache.embeddings import EmbeddingsCache
from redisvl.extensions.cache.llm import SemanticCache
from redisvl.extensions.message_history import MessageHistory
from redisvl.utils.vectorize import CustomVectorizer

url = sys.argv[1]
vectorizer = CustomVectorizer(embed=lambda text, **_: [0.25, 0.5, 0.75], embed_many=lambda texts, **_: [[0.25, 0.5, 0.75]] * len(texts))

cache = SemanticCache(name="llmcache", vectorizer=vectorizer, redis_url=url)
cache.store("How do I get a refund?", "Open the order and press Refund.", metadata={"model": "small"})
cache.store("Onde está minha fatura?", "No menu Conta, em Faturas.")

filtered = SemanticCache(
    name="shop", vectorizer=vectorizer, redis_url=url,
    filterable_fields=[{"name": "tenant", "type": "tag"}, {"name": "user_id", "type": "tag"}],
)  # fmt: skip
filtered.store("Where is my parcel?", "It is on its way.", filters={"tenant": "acme", "user_id": "ana"})

history = MessageHistory(name="helpdesk", session_tag="s:1", redis_url=url)
history.add_message({"role": "system", "content": "You help customers."})
history.store("My password does not work.", "Reset it on the sign-in page.")
history.store("And if the mail never comes?", "Look into the spam folder.")
history.add_messages([{"role": "user", "content": "What time is it?"}, {"role": "tool", "content": "12:00", "tool_call_id": "t1"}])

EmbeddingsCache(name="llmcache:embeddings", redis_url=url).set(content="a text", model_name="small", embedding=[0.1, 0.2])
