"""Who is asking."""

import hashlib
import hmac
import json
from pathlib import Path

from tuneloop_server.errors import Unauthorized
from tuneloop_server.settings import BadSettings

DEFAULT_TENANT = "default"


class Tenants:
    """API key -> tenant. Without keys everybody is the default tenant."""

    def __init__(self, keys: dict[str, str] | None) -> None:
        self._by_digest = None if keys is None else {_digest(key): tenant for key, tenant in keys.items()}

    @classmethod
    def from_file(cls, path: Path | None) -> "Tenants":
        """Raises BadSettings, without quoting the file."""
        if path is None:
            return cls(None)
        try:
            keys = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise BadSettings(f"API_KEYS_FILE cannot be read: {type(error).__name__}") from error
        if not isinstance(keys, dict) or not all(key and isinstance(tenant, str) and tenant for key, tenant in keys.items()):
            raise BadSettings("API_KEYS_FILE must hold a JSON object {key: tenant}")
        return cls(keys)

    def of(self, authorization: str | None) -> str:
        """Raises Unauthorized. Takes as long for a near miss as for a wild guess: digests are compared, and all of them."""
        if self._by_digest is None:
            return DEFAULT_TENANT
        scheme, _, key = (authorization or "").partition(" ")
        given = _digest(key.strip()) if scheme.lower() == "bearer" else b""
        found = [tenant for digest, tenant in self._by_digest.items() if hmac.compare_digest(digest, given)]
        if not found:
            raise Unauthorized("Incorrect or missing API key; send it as `Authorization: Bearer KEY`")
        return found[0]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
