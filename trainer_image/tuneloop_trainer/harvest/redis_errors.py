"""What Redis says when it does not do what it was asked, and what that means for people. Pure."""

import re

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)
from redis.sentinel import MasterNotFoundError

from tuneloop_contracts.jobs import RedisMode
from tuneloop_contracts.progress import Fault, FaultReason
from tuneloop_contracts.redis import URL_FORMS
from tuneloop_trainer.errors import NeedsEdit

REDIS_ERRORS = (RedisError, RedisClusterException)
"""All that redis-py raises: what it says of a cluster is no RedisError."""
_ON_THE_MOVE = RedisClusterException | ClusterDownError | TryAgainError | AskError
"""What a cluster says while slots or masters change; MovedError is an AskError."""

_UNREACHABLE = "Redis does not answer: check the url in the Redis secret, and that the network lets this pod through"
_UNAUTHORIZED = "Redis refuses the user or the password: mend the url in the Redis secret"
_NO_MASTER = f"no sentinel knows a master of the url's service: with mode {RedisMode.SENTINEL} it is {URL_FORMS[RedisMode.SENTINEL]}"
_GRANT = "grant it with ACL SETUSER: +@read for a harvest, +@write and +@scripting too to forget somebody; on the keys ~tuneloop:*"
_COMMAND = re.compile(r"(?:run the|unknown command) ['`]([A-Za-z|.]{1,30})['`]")


def fault_of_redis(error: RedisError | RedisClusterException) -> Fault:
    """What waiting may mend. Raises NeedsEdit for what it cannot, and the error again where the mistake is our own.

    Of what Redis said nothing is shown but a command's name: the rest may hold a user's name, a key or a value.
    """
    match error:
        case NoPermissionError():
            return Fault(
                reason=FaultReason.REDIS_UNAUTHORIZED,
                message=f"Redis does not let this user {_run(error) or 'touch a key of this target'}: {_GRANT}",
            )
        case AuthenticationError() | AuthorizationError():
            return Fault(reason=FaultReason.REDIS_UNAUTHORIZED, message=_UNAUTHORIZED)
        case MasterNotFoundError():
            return Fault(reason=FaultReason.REDIS_UNREACHABLE, message=_NO_MASTER)
        case ReadOnlyError():
            return Fault(reason=FaultReason.REDIS_UNREACHABLE, message="this Redis is a replica and takes no writes: name its master")
        case OutOfMemoryError():
            return Fault(reason=FaultReason.REDIS_UNREACHABLE, message="Redis is full and takes no writes: raise its maxmemory")
        case ConnectionError() | TimeoutError() | BusyLoadingError():
            return Fault(reason=FaultReason.REDIS_UNREACHABLE, message=_UNREACHABLE)
        case ResponseError() if (edit := _edit(error)) is not None:
            raise NeedsEdit(FaultReason.INVALID_CONFIG, edit) from error
    if isinstance(error, _ON_THE_MOVE):
        return Fault(reason=FaultReason.REDIS_UNREACHABLE, message=_UNREACHABLE)
    raise error


def _edit(error: ResponseError) -> str | None:
    """None for what is nobody's setting."""
    text = str(error).lower()
    if run := _run(error):
        return f"this server cannot {run}: it is a sentinel (then set the mode), no Redis of 6.2 or newer, or has renamed the command"
    if "db index" in text:
        return "the database number at the end of the Redis url is none that this Redis has: mend it, or raise its `databases`"
    return None


def _run(error: Exception) -> str:
    command = _COMMAND.search(str(error))
    return f"run {command[1].upper()}" if command else ""
