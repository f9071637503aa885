"""From the setting to the embedder."""

from tuneloop_server.semcache.embed.base import Embedder

DEFAULT = "static"
KINDS = ("static", "minilm")


def known(kind: str) -> bool:
    return kind in KINDS or kind.startswith(("http://", "https://"))


def make_embedder(kind: str) -> Embedder:
    """`static`, `minilm`, or the URL of an OpenAI-compatible endpoint. Each is imported only when chosen. Raises ValueError."""
    if kind == "static":
        from tuneloop_server.semcache.embed.static import StaticEmbedder

        return StaticEmbedder()
    if kind == "minilm":
        from tuneloop_server.semcache.embed.minilm import MiniLmEmbedder

        return MiniLmEmbedder()
    if known(kind):
        from tuneloop_server.semcache.embed.remote import RemoteEmbedder

        return RemoteEmbedder(kind)
    raise ValueError(f"must be one of {', '.join(KINDS)} or an http(s):// URL")
