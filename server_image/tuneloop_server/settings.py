"""The server's settings, read once from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tuneloop_contracts.durations import parse_duration
from tuneloop_contracts.jobs import RedisMode
from tuneloop_contracts.names import AUTO
from tuneloop_contracts.pods import STATUS_PORT
from tuneloop_contracts.record import DEFAULT_RETENTION
from tuneloop_contracts.redis import URL_FORMS
from tuneloop_server.connect import is_readable
from tuneloop_server.semcache.embed.choose import DEFAULT as DEFAULT_EMBEDDER
from tuneloop_server.semcache.embed.choose import known as known_embedder

ENGINES = ("transformers", "vllm")
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's --max-lora-rank may be (MaxLoRARanks of its config/lora.py, 0.32)."""
_NUMBER = re.compile(r"[0-9]{1,10}")
_TARGET = re.compile(r"[a-z0-9][-a-z0-9.]*/[a-z0-9][-a-z0-9.]*")


class BadSettings(ValueError):
    """The environment must be edited; every fault is named at once, without the values of URLs, which may hold a password."""


@dataclass(frozen=True)
class Settings:
    model_path: Path
    """MODEL_PATH: folder of the base model, as safetensors."""
    model_name: str
    """MODEL_NAME: what clients ask for to get the base. Default: the folder's name, in lower case."""
    target: str = "default/tuneloop"
    """TUNELOOP_TARGET: `<namespace>/<name>` of the InferenceTarget; names the ConfigMap to watch and the streams to write."""
    redis_url: str = ""
    """REDIS_URL: the answer cache, and the record unless it has one of its own. Empty: neither."""
    redis_mode: RedisMode = RedisMode.STANDALONE
    """REDIS_MODE: how that Redis is deployed; an InferenceTarget's `redis.mode`."""
    record_redis_url: str = ""
    """RECORD_REDIS_URL: a Redis apart for the record, where the cache's may evict."""
    record_redis_mode: RedisMode = RedisMode.STANDALONE
    """RECORD_REDIS_MODE: how that one is deployed."""
    cache_ttl: int = 86400
    """CACHE_TTL: seconds an answer is kept; 0 = no cache."""
    record_retention: timedelta = DEFAULT_RETENTION
    """RECORD_RETENTION: how long a day of the record is kept."""
    api_keys_file: Path | None = None
    """API_KEYS_FILE: a JSON object {key: tenant}, followed while it changes. None: everybody is tenant `default`."""
    tenant_concurrency: int = 0
    """TENANT_CONCURRENCY: requests of one tenant that one pod answers at the same time; more get 429. 0 = no limit but the queue's."""
    engine: str = "transformers"
    """ENGINE: `transformers` decodes in this process, `vllm` in a vLLM server beside it."""
    vllm_url: str = "http://127.0.0.1:8100"
    """VLLM_URL: that server; nobody else may reach it, and it serves MODEL_PATH."""
    vllm_adapters: Path = Path("/tmp/tuneloop-vllm")  # noqa: S108 - a pod's own
    """VLLM_ADAPTERS: folder in which that server finds adapters, under this same path; emptied at start."""
    manifest_file: Path | None = None
    """MANIFEST_FILE: the adapter manifest as a file, where the ConfigMap may not be watched or there is no cluster."""
    max_lora_rank: int = 64
    """MAX_LORA_RANK: adapters of a higher rank are refused. With vLLM its own --max-lora-rank, and so one of VLLM_RANKS."""
    max_batch: int = 8
    """MAX_BATCH: rows that are decoded together, whichever adapters they use."""
    max_new_tokens: int = 512
    """MAX_NEW_TOKENS: cap and default of a request's max_tokens."""
    traces: bool = False
    """OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, unless OTEL_TRACES_EXPORTER=none or OTEL_SDK_DISABLED=true:
    a span for each answer goes there by OTLP over HTTP. OpenTelemetry's other variables hold as its SDK reads them."""
    semantic_cache_domains: tuple[str, ...] = ()
    """SEMANTIC_CACHE_DOMAINS: comma list of domains whose questions may be answered by the answer to a like one. Empty: none."""
    embedder: str = DEFAULT_EMBEDDER
    """EMBEDDER: `static`, `minilm`, or the http(s):// URL of an OpenAI-compatible /v1/embeddings."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's own network
    """HOST: address to listen on."""
    port: int = 8000
    """PORT: the OpenAI API, /healthz, /readyz and /metrics."""
    status_port: int = STATUS_PORT
    """STATUS_PORT: what the operator reads."""
    drain_seconds: int = 25
    """DRAIN_SECONDS: how long running answers may take after SIGTERM; below the pod's terminationGracePeriodSeconds (30)."""

    @property
    def record_redis(self) -> tuple[str, RedisMode]:
        """URL ("": none) and mode."""
        return (self.record_redis_url, self.record_redis_mode) if self.record_redis_url else (self.redis_url, self.redis_mode)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Raises BadSettings."""
        read = _Reader(env)
        path = read.path("MODEL_PATH")
        defaults = cls(Path(), "")
        settings = cls(
            model_path=path or Path(),
            model_name=env.get("MODEL_NAME") or (path.name.lower() if path else ""),
            target=read.matching("TUNELOOP_TARGET", _TARGET, defaults.target),
            redis_url=read.redis("REDIS_URL", "REDIS_MODE"),
            redis_mode=read.mode("REDIS_MODE"),
            record_redis_url=read.redis("RECORD_REDIS_URL", "RECORD_REDIS_MODE"),
            record_redis_mode=read.mode("RECORD_REDIS_MODE"),
            cache_ttl=read.number("CACHE_TTL", defaults.cache_ttl, least=0),
            record_retention=read.duration("RECORD_RETENTION", defaults.record_retention),
            api_keys_file=read.path("API_KEYS_FILE"),
            tenant_concurrency=read.number("TENANT_CONCURRENCY", defaults.tenant_concurrency, least=0),
            manifest_file=read.path("MANIFEST_FILE"),
            engine=read.one_of("ENGINE", ENGINES, defaults.engine),
            vllm_url=read.http("VLLM_URL", defaults.vllm_url),
            vllm_adapters=read.path("VLLM_ADAPTERS") or defaults.vllm_adapters,
            max_lora_rank=read.number("MAX_LORA_RANK", defaults.max_lora_rank, least=1),
            max_batch=read.number("MAX_BATCH", defaults.max_batch, least=1),
            max_new_tokens=read.number("MAX_NEW_TOKENS", defaults.max_new_tokens, least=1),
            traces=wants_traces(env),
            semantic_cache_domains=tuple(filter(None, (name.strip() for name in env.get("SEMANTIC_CACHE_DOMAINS", "").split(",")))),
            embedder=env.get("EMBEDDER") or defaults.embedder,
            host=env.get("HOST", defaults.host),
            port=read.number("PORT", defaults.port, least=0, most=65535),
            status_port=read.number("STATUS_PORT", defaults.status_port, least=0, most=65535),
            drain_seconds=read.number("DRAIN_SECONDS", defaults.drain_seconds, least=0),
        )
        if not known_embedder(settings.embedder):
            read.faults.append("EMBEDDER must be static, minilm or an http(s):// URL")
        if path is None:
            read.faults.append("MODEL_PATH is missing: the folder of the base model")
        if settings.model_name == AUTO:
            read.faults.append(f"MODEL_NAME must not be `{AUTO}`: it is the name that routes by content")
        if settings.engine == "vllm" and settings.max_lora_rank not in VLLM_RANKS:
            read.faults.append(f"MAX_LORA_RANK must be one of {', '.join(map(str, VLLM_RANKS))} with ENGINE=vllm")
        if read.faults:
            raise BadSettings("; ".join(read.faults))
        return settings


class _Reader:
    """Reads one variable at a time and collects the faults."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.faults: list[str] = []

    def number(self, name: str, default: int, *, least: int, most: int = 2**31 - 1) -> int:
        text = self.env.get(name) or str(default)
        if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
            self.faults.append(f"{name} must be a whole number from {least} to {most}, not {text!r}")
            return default
        return int(text)

    def path(self, name: str) -> Path | None:
        return Path(self.env[name]) if self.env.get(name) else None

    def one_of(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        text = self.env.get(name) or default
        if text not in allowed:
            self.faults.append(f"{name} must be one of {', '.join(allowed)}, not {text!r}")
            return default
        return text

    def http(self, name: str, default: str) -> str:
        url = self.env.get(name) or default
        if not url.startswith(("http://", "https://")):
            self.faults.append(f"{name} must start with http:// or https://")
        return url.rstrip("/")

    def redis(self, name: str, mode_name: str) -> str:
        url = self.env.get(name, "")
        mode = self.env.get(mode_name) or RedisMode.STANDALONE
        if url and not url.startswith(("redis://", "rediss://", "unix://")):
            self.faults.append(f"{name} must start with redis://, rediss:// or unix://")
        elif url and mode in URL_FORMS and not is_readable(url, RedisMode(mode)):
            self.faults.append(f"{name} cannot be read; with {mode_name} {mode} it is {URL_FORMS[RedisMode(mode)]}")
        return url

    def mode(self, name: str) -> RedisMode:
        return RedisMode(self.one_of(name, tuple(RedisMode), RedisMode.STANDALONE))

    def matching(self, name: str, pattern: re.Pattern[str], default: str) -> str:
        text = self.env.get(name) or default
        if not pattern.fullmatch(text):
            self.faults.append(f"{name} must look like `{default}`, not {text!r}")
        return text

    def duration(self, name: str, default: timedelta) -> timedelta:
        text = self.env.get(name)
        try:
            return parse_duration(text) if text else default
        except ValueError as fault:
            self.faults.append(f"{name}: {fault}")
            return default


def wants_traces(env: Mapping[str, str]) -> bool:
    """By OpenTelemetry's own variables; off unless one of them says where to (or, without a place, `otlp`: to localhost). Pure.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    places = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    exporter = env.get("OTEL_TRACES_EXPORTER") or ("otlp" if places else "none")
    return "otlp" in exporter.split(",")
