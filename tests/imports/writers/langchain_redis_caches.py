# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain-redis==0.2.6", "langchain-core==1.8.3", "redisvl==0.28.0", "redis==8.1.0"]
# ///
"""langchain-redis writes its exact cache, its semantic cache and its chat history."""

import sys

from langchain_core.embeddings import FakeEmbeddings
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_redis import RedisCache, RedisChatMessageHistory, RedisSemanticCache

url = sys.argv[1]
MODEL = '{"model": "small", "temperature": 0}'


def chat(answer: str) -> list[ChatGeneration]:
    return [ChatGeneration(message=AIMessage(content=answer, response_metadata={"finish_reason": "stop"}))]


asked = dumps([SystemMessage("You are brief."), HumanMessage("What is a thread?")])
RedisCache(redis_url=url).update(asked, MODEL, chat("A flow of control."))

semantic = RedisSemanticCache(embeddings=FakeEmbeddings(size=3), redis_url=url)
semantic.update(asked, MODEL, chat("A flow of control."))
semantic.update("Complete: the sky is", MODEL, [Generation(text="blue.")])
parts = [{"type": "text", "text": "What is a "}, {"type": "text", "text": "process?"}]
semantic.update(dumps([HumanMessage(parts)]), MODEL, chat("A running program."))

history = RedisChatMessageHistory(session_id="ana-1", redis_url=url)
history.add_messages([SystemMessage("You help."), HumanMessage("How do I install it?"), AIMessage("With the package manager.")])
history.add_message(HumanMessage("And on Windows?"))
call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}
history.add_message(AIMessage("", additional_kwargs={"tool_calls": [call]}))
