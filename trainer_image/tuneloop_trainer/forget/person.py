"""Who is to be forgotten, as the record knows them."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from tuneloop_contracts.manifest import AdapterManifest
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.record import COMPACT, user_hash
from tuneloop_trainer.errors import NeedsEdit
from tuneloop_trainer.harvest.decode import record_owner

TELLING = ("id", "user", "by", "rating", COMPACT)
"""Fields of an entry that tell whose it is."""

_HASH = re.compile(r"[0-9a-f]{24}")


@dataclass
class Person:
    hash: str
    """What stands for the user."""
    interactions: set[str] = field(default_factory=set)
    """Ids of the answers that they were given, as far as entries were looked at."""

    def is_in(self, fields: Mapping[str, str]) -> bool:
        """Whether an entry is of the person: a question of theirs, feedback by them, or anyone's on an answer that they were given."""
        interaction, user = _asked_by(fields)
        if user == self.hash:
            self.interactions.add(interaction)
            return True
        return fields.get("by") == self.hash or ("rating" in fields and interaction in self.interactions)


def _asked_by(fields: Mapping[str, str]) -> tuple[str, str]:
    """The interaction, and who had it; "" for what the entry does not say."""
    with suppress(ValueError, RecursionError):
        if COMPACT in fields:
            told = record_owner(fields[COMPACT])
            return told.id, told.user
    return fields.get("id", ""), fields.get("user", "")


def hash_of(user: str, tenant: str, manifest: str) -> str:
    """A hash as it is; a name by the salt in the file `manifest`. Raises NeedsEdit, never naming the person."""
    if _HASH.fullmatch(user):
        return user
    if not user or not manifest:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, "--user is no hash of 24 hexadecimal digits, and a name needs --manifest for its salt")
    try:
        salt = AdapterManifest.model_validate_json(Path(manifest).read_bytes()).salt
    except (OSError, ValidationError) as error:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, f"--manifest {manifest}: no adapter manifest ({type(error).__name__})") from None
    if not salt:
        raise NeedsEdit(FaultReason.INVALID_CONFIG, f"--manifest {manifest}: it holds no salt")
    return user_hash(salt.encode(), tenant, user)
