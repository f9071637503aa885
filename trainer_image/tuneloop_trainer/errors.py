"""What went wrong, by what happens next.

TrainerError
    NeedsEdit    retrying cannot help: exit 2, and the Job gives up at once
    TryLater     the world may mend: exit 1, and the Job's policy decides
"""

from tuneloop_contracts.jobs import EXIT_NEEDS_EDIT, EXIT_TRY_LATER
from tuneloop_contracts.progress import Fault, FaultReason


class TrainerError(Exception):
    """Carries what the operator shows; its message holds no secret and no training text."""

    exit_code = EXIT_TRY_LATER

    def __init__(self, reason: FaultReason, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(reason=reason, message=message)


class NeedsEdit(TrainerError):
    exit_code = EXIT_NEEDS_EDIT


class TryLater(TrainerError):
    exit_code = EXIT_TRY_LATER
