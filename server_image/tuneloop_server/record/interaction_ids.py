"""Signed interaction ids and hashed user names, both keyed by the target's salt. Pure, but for the ids."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from tuneloop_contracts.record import user_hash

_MARK = 16
"""Hex digits of a mark: 64 bits, checked online only."""


class InteractionIds:
    """`int-<time and randomness>[-<cache key>[-<origin>]]-<mark>`: the mark is an HMAC over the rest and the tenant, so that feedback on
    another tenant's answer, or on one that never was, is recognised without looking anything up. The key names the cache's entry that the
    answer made or came from, and the origin the interaction that it repeats, so that no table must say which."""

    def __init__(self, salt: Callable[[], str]) -> None:
        self._salt = salt
        self._own = secrets.token_bytes(32)
        """For a server without a manifest: its ids are worth something in this process only."""

    def new_id(self, tenant: str, key: str = "", origin: str = "") -> str:
        """`origin`: an interaction with the same key."""
        stem = f"int-{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}" + (f"-{key}" if key else "")
        if origin:
            _, made, _, mark = origin.split("-")
            stem += f"-{made}{mark}"
        return f"{stem}-{_mark(self._keys()[0], f'{stem} {tenant}')}"

    def belongs(self, interaction: str, tenant: str) -> bool:
        stem, _, mark = interaction.rpartition("-")
        if not (stem.startswith("int-") and mark.isascii()):
            return False
        return any(hmac.compare_digest(_mark(key, f"{stem} {tenant}"), mark) for key in self._keys())

    @staticmethod
    def origin_of(interaction: str) -> str:
        """The interaction that this one repeats; itself when it repeats none."""
        parts = interaction.split("-")
        if len(parts) != 5:
            return interaction
        _, _, key, origin, _ = parts
        return f"int-{origin[:-_MARK]}-{key}-{origin[-_MARK:]}"

    def hash_user(self, tenant: str, user: str) -> str:
        """The same person is the same hash in every pod of the target; "" stays ""."""
        return user_hash(self._keys()[0], tenant, user)

    def _keys(self) -> tuple[bytes, ...]:
        """The first one is for making. Ids made before the first manifest came stay good."""
        salt = self._salt()
        return (salt.encode(), self._own) if salt else (self._own,)


def conversation_id(named: str, first_user_text: str, user: str) -> str:
    """What the client calls it, else a digest of how it began and who began it. Pure."""
    return named or "c-" + hashlib.sha256(f"{user}\n{first_user_text}".encode()).hexdigest()[:24]


def _mark(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()[:_MARK]
