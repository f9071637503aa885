import asyncio
import re
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from lightserver import DEADLINE, HeldEngine
from ports import free_port
from tuneloop_contracts.jobs import RedisMode
from tuneloop_server.parts import Parts
from tuneloop_server.serve import serve
from tuneloop_server.settings import BadSettings, Settings

LEAST = {"MODEL_PATH": "/models/SmolLM2"}


def test_one_variable_is_enough() -> None:
    settings = Settings.from_env(LEAST)
    assert settings == Settings(Path("/models/SmolLM2"), "smollm2")
    assert (settings.cache_ttl, settings.record_retention, settings.max_batch, settings.port) == (86400, timedelta(days=35), 8, 8000)


def test_a_model_may_be_named_as_on_the_hub() -> None:
    assert Settings.from_env(LEAST | {"MODEL_NAME": "HuggingFaceTB/SmolLM2"}).model_name == "HuggingFaceTB/SmolLM2"


def test_the_record_has_the_caches_redis_unless_it_has_its_own() -> None:
    shared = LEAST | {"REDIS_URL": "redis://cache"}
    assert Settings.from_env(shared).record_redis == ("redis://cache", RedisMode.STANDALONE)
    assert Settings.from_env(shared | {"REDIS_MODE": "Cluster"}).record_redis == ("redis://cache", RedisMode.CLUSTER)
    apart = shared | {"REDIS_MODE": "Cluster", "RECORD_REDIS_URL": "redis://one,two/mymaster", "RECORD_REDIS_MODE": "Sentinel"}
    assert Settings.from_env(apart).record_redis == ("redis://one,two/mymaster", RedisMode.SENTINEL)


@pytest.mark.parametrize(
    ("mode", "url", "want"),
    [
        ("Sentinel", "redis://:hunter2@sentinel:26379", r"REDIS_URL .* REDIS_MODE Sentinel .*sentinel\[:port\].*/service"),
        ("Cluster", "redis://:hunter2@node:6379/3", "REDIS_URL .* REDIS_MODE Cluster"),
        ("Standalone", "redis://:hunter2@one:port", "REDIS_URL"),
        ("Standalone", "redis://:hunter2@one,two:26379/mymaster", "REDIS_URL .* REDIS_MODE Standalone"),
        ("Standalone", "redis://:hunter2@sentinel:26379/mymaster", "REDIS_URL .* REDIS_MODE Standalone"),
        ("Replicated", "redis://:hunter2@node", "REDIS_MODE must be one of Standalone, Sentinel, Cluster"),
    ],
)
def test_a_redis_url_must_be_one_of_its_mode(mode: str, url: str, want: str) -> None:
    with pytest.raises(BadSettings, match=want) as refused:
        Settings.from_env(LEAST | {"REDIS_URL": url, "REDIS_MODE": mode})
    assert "hunter2" not in str(refused.value)


def test_vllm_takes_only_the_ranks_it_knows() -> None:
    least = LEAST | {"ENGINE": "vllm"}
    assert Settings.from_env(least | {"MAX_LORA_RANK": "16", "VLLM_URL": "http://127.0.0.1:9/"}).vllm_url == "http://127.0.0.1:9"
    assert Settings.from_env(LEAST | {"MAX_LORA_RANK": "48"}).max_lora_rank == 48
    with pytest.raises(BadSettings, match="one of 1, 8, 16"):
        Settings.from_env(least | {"MAX_LORA_RANK": "48"})


def test_every_fault_is_named_at_once_and_no_url_is_quoted() -> None:
    with pytest.raises(BadSettings) as refused:
        Settings.from_env(
            {"CACHE_TTL": "soon", "MAX_BATCH": "0", "REDIS_URL": "http://:secret@x", "RECORD_RETENTION": "35", "TUNELOOP_TARGET": "x"}
            | {"ENGINE": "gguf", "VLLM_URL": "secret", "EMBEDDER": "bert"}
        )
    names = "MODEL_PATH CACHE_TTL MAX_BATCH REDIS_URL RECORD_RETENTION TUNELOOP_TARGET ENGINE VLLM_URL EMBEDDER"
    for name in names.split():
        assert name in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CACHE_TTL", "\u00b2"), ("CACHE_TTL", "\u0663"), ("CACHE_TTL", "1" * 30), ("CACHE_TTL", "-1"), ("PORT", "65536"),
        ("TUNELOOP_TARGET", "chat/chat-llm\n"),
        ("RECORD_RETENTION", "0s"), ("RECORD_RETENTION", "3000000d"), ("RECORD_RETENTION", "9999999999d"),
        ("RECORD_RETENTION", "9" * 30 + "d"), ("RECORD_RETENTION", "9" * 400 + "d"),
    ],
)  # fmt: skip
def test_a_value_that_nothing_could_work_with_is_named(name: str, text: str) -> None:
    with pytest.raises(BadSettings, match=f"^{name}"):
        Settings.from_env(LEAST | {name: text})


def test_the_semantic_cache_is_off_until_domains_are_named() -> None:
    env = {"MODEL_PATH": "/m"}
    assert Settings.from_env(env).semantic_cache_domains == ()
    assert Settings.from_env(env | {"SEMANTIC_CACHE_DOMAINS": "support, legal,"}).semantic_cache_domains == ("support", "legal")


@pytest.mark.parametrize("name", ["port", "status_port"])
async def test_a_port_that_is_taken_is_named_and_nothing_hangs(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"port": free_port(), "status_port": free_port(), name: other.getsockname()[1]}
        parts = Parts(Settings(Path("/models/x"), "x", host="127.0.0.1", **ports), HeldEngine())
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(
                BadSettings, match=f"^{name.upper()}: cannot listen on 127.0.0.1 port {ports[name]}: Address already in use"
            ):
                await serve(parts)


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b", "."])
async def test_an_address_that_is_not_here_is_named_and_not_the_port(host: str) -> None:
    with pytest.raises(BadSettings, match=f"^HOST: .*{re.escape(host)}"):
        await serve(Parts(Settings(Path("/models/x"), "x", host=host, port=free_port()), HeldEngine()))


async def test_two_ports_that_are_one_are_told() -> None:
    port = free_port()
    parts = Parts(Settings(Path("/models/x"), "x", host="127.0.0.1", port=port, status_port=port), HeldEngine())
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(BadSettings, match=r"^STATUS_PORT: .*Address already in use"):
            await serve(parts)
