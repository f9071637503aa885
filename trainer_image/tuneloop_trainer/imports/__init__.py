"""Answers that other caches keep in the target's Redis, read only.

    layout           what a key holds, what can be made of it, and why not (pure)
    redisvl          SemanticCache, MessageHistory
    langchain        langchain-redis and langchain-community: semantic cache, chat history, exact cache
    semantic_router  vLLM's semantic router: semantic and exact cache
    gptcache         its scalar store in Redis
    litellm          its semantic cache
    formats          the registry: which layouts a format has, and where its keys are
    sessions         single messages of a history -> exchanges (pure)
    entries          exchanges -> entries like recorded ones (pure)
    scan             keys and values, from Redis
    collect          all of it, in order

Law: what is read is data. Nothing is unpickled and nothing evaluated: a value is JSON, plain text or left alone.
"""
