# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain-community==0.4.2", "langchain-core==1.8.3", "redis==5.3.1"]
# ///
"""langchain-community writes the caches and the history that langchain-redis replaced."""

import sys
import warnings

from langchain_community.cache import RedisCache, RedisSemanticCache
from langchain_community.chat_message_histories import RedisChatMessageHistory
from langchain_core.embeddings import FakeEmbeddings
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration
from redis import Redis

warnings.simplefilter("ignore")
url = sys.argv[1]
asked, answer = dumps([HumanMessage("Is a contract binding?")]), [ChatGeneration(message=AIMessage("Once both have signed."))]

RedisCache(Redis.from_url(url)).update(asked, "small", answer)
RedisSemanticCache(redis_url=url, embedding=FakeEmbeddings(size=3)).update(asked, "small", answer)
history = RedisChatMessageHistory("bob-7", url=url)
history.add_messages([HumanMessage("Who signs first?"), AIMessage("The seller."), HumanMessage("And then?"), AIMessage("The buyer.")])
