"""What can go wrong outside, named by what happens next.

ClientError
├── TryLater            a later pass may succeed: it is queued again, with back-off
│   ├── Unreachable     no answer, or 404 on a write, 429 or 5xx
│   └── Stale           somebody changed the object since it was read (409)
└── NeedsEdit           repeating cannot help
    ├── NotAllowed      403, any other 400, or 422 of a policy: RBAC, a quota or an admission rule
    ├── Rejected        422, or 400 for a field that cannot be read: the object itself is refused
    └── AlreadyExists   409 on a create: look at what is there
        FieldOwned      409 on an apply: another manager owns a field
"""

import traceback


def frames(error: BaseException) -> str:
    """Where it happened, for logs; without its text, which may hold what logs may not."""
    return "".join(traceback.format_tb(error.__traceback__))


class ClientError(Exception):
    """Text for logs and conditions: what was tried, the API's own short reason, the fields at fault and who refuses, never a body."""


class TryLater(ClientError):
    pass


class Unreachable(TryLater):
    pass


class Stale(TryLater):
    pass


class NeedsEdit(ClientError):
    pass


class NotAllowed(NeedsEdit):
    pass


class Rejected(NeedsEdit):
    pass


class AlreadyExists(NeedsEdit):
    pass


class FieldOwned(NeedsEdit):
    pass
