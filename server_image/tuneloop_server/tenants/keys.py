"""API keys from a mounted Secret: whom each belongs to, as the file says at the moment."""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path

from tuneloop_contracts.record import DEFAULT_TENANT
from tuneloop_server.errors import Unauthorized
from tuneloop_server.mounted import contents
from tuneloop_server.settings import BadSettings

log = logging.getLogger(__name__)


class BadKeys(ValueError):
    """The file must be mended; what was read before goes on being good. Quotes nothing of it."""


class Tenants:
    """API key -> tenant. Without keys everybody is the default tenant."""

    def __init__(self, keys: Mapping[str, str] | None) -> None:
        self._blind = secrets.token_bytes(32)
        self._by_digest = None if keys is None else self._digests(keys)

    @classmethod
    def from_file(cls, path: Path | None) -> "Tenants":
        """Raises BadSettings, without quoting the file."""
        if path is None:
            return cls(None)
        try:
            return cls(parse_keys(path.read_bytes()))
        except OSError as error:
            raise BadSettings(f"API_KEYS_FILE cannot be read: {type(error).__name__}") from error
        except BadKeys as error:
            raise BadSettings(f"API_KEYS_FILE {error}") from error

    def of(self, authorization: str | None) -> str:
        """Raises Unauthorized. How long it takes says nothing of the keys: what is looked up are digests under a secret of this
        process, so nobody can aim at one that shares its first bytes with a key's (double HMAC verification)."""
        if self._by_digest is None:
            return DEFAULT_TENANT
        scheme, _, key = (authorization or "").partition(" ")
        tenant = self._by_digest.get(self._digest(key.strip())) if scheme.lower() == "bearer" else None
        if tenant is None:
            raise Unauthorized("Incorrect or missing API key; send it as `Authorization: Bearer KEY`")
        return tenant

    async def follow(self, path: Path) -> None:
        """Until cancelled. A key that is gone from the file is refused from then on; a file that is gone or broken changes nothing."""
        async for content in contents(path):
            try:
                if content is None:
                    raise BadKeys("is not there")
                self._by_digest = self._digests(parse_keys(content))
                log.info("API keys: %d", len(self._by_digest))
            except BadKeys as error:
                log.error("API_KEYS_FILE %s; the keys that were read before stay good", error)

    def _digests(self, keys: Mapping[str, str]) -> dict[bytes, str]:
        return {self._digest(key): tenant for key, tenant in keys.items()}

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._blind, key.encode(), hashlib.sha256)


def parse_keys(content: bytes) -> dict[str, str]:
    """Pure. Raises BadKeys."""
    try:
        keys = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadKeys("is not JSON") from error
    if not isinstance(keys, dict) or not all(isinstance(tenant, str) and tenant and tenant.isprintable() for tenant in keys.values()):
        raise BadKeys("must hold a JSON object {key: tenant}, each tenant a text of visible characters")
    if not all(key and key.isascii() and key.isprintable() and " " not in key for key in keys):
        raise BadKeys("holds a key that no header can carry: keys are visible ASCII characters without spaces")
    return keys
