# /// script
# requires-python = ">=3.11"
# dependencies = ["gptcache==0.1.44", "redis-om==0.2.1", "pydantic==1.10.22", "redis==4.6.0", "setuptools==80.9.0"]
# ///
"""GPTCache writes its scalar store."""

import sys
from urllib.parse import urlsplit

import numpy as np
from gptcache.manager.scalar_data.base import Answer, CacheData, DataType, Question
from gptcache.manager.scalar_data.redis_storage import RedisCacheStorage

url = urlsplit(sys.argv[1])
storage = RedisCacheStorage(host=url.hostname, port=url.port)
vector = np.array([0.25, -0.5, 1e-3], dtype=np.float32)


def store(question: str, *answers: Answer, session: str | None = None) -> int:
    return storage.batch_insert([CacheData(Question(question), list(answers), embedding_data=vector, session_id=session)])[0]


store("Where do I find the log?", Answer("In /var/log.", DataType.STR), session="s1")
store("Show me the logo.", Answer("/tmp/logo.png", DataType.IMAGE_BASE64))
gone = store("Was ist neu?", Answer("Vieles.", DataType.STR))
document = storage._ques.get(str(gone))
document.deleted = -1
document.save()
