# /// script
# requires-python = ">=3.11"
# dependencies = ["redis==8.1.0"]
# ///
"""What vLLM's semantic router writes, by its source: pkg/cache/redis_cache.go and exact_cache.go of commit 3d48f8c, `addEntry` and
`AddExact`. The router itself was not run: it wants its embedding models, in Rust, before it writes anything."""

import hashlib
import json
import struct
import sys

from redis import Redis

client = Redis.from_url(sys.argv[1])
messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Can I return it after a month?"}]
request = {"model": "auto", "messages": messages, "user": "carla", "temperature": 0}


def response(text: str, finish: str) -> str:
    choices = [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}]
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1795543900, "model": "small", "choices": choices})


def add_entry(number: int, body: str, answer: str) -> None:
    fields = {
        "request_id": f"req-{number}", "model": "default:business:auto", "query": messages[-1]["content"], "request_body": body,
        "response_body": answer, "embedding": struct.pack("<3f", 0.25, 0.5, 0.75), "timestamp": 1795543900 + number, "ttl_seconds": 3600,
    }  # fmt: skip
    client.hset("doc:" + hashlib.md5(f"auto_{number}".encode()).hexdigest(), mapping=fields)


add_entry(1, json.dumps(request), response("Within two months, yes.", "stop"))
add_entry(2, json.dumps(request | {"messages": messages[1:]}), response("Within two", "length"))
add_entry(3, json.dumps(request), "")
client.set(f"vsr:response-cache:exact:v1:{hashlib.sha256(b'partition').hexdigest()}", response("Yes.", "stop"))
