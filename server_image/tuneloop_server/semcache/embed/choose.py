"""From the setting to the embedder."""

import threading

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


class LazyEmbedder:
    """The one embedder of a server, made when it is first wanted: most need none, and it takes 50 MB."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._made: Embedder | None = None
        self._one_at_a_time = threading.Lock()

    def get(self) -> Embedder:
        """From any thread; the first time it takes up to a second."""
        with self._one_at_a_time:
            self._made = self._made or make_embedder(self._kind)
            return self._made

    async def close(self) -> None:
        if self._made:
            await self._made.close()
