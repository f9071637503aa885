"""Why an adapter is not loaded."""

from tuneloop_contracts.pods import LoadFault


class AdapterRejected(Exception):
    """This digest will never do, but for ARTIFACT_NOT_FOUND, which is tried again."""

    def __init__(self, fault: LoadFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def final(self) -> bool:
        return self.fault is not LoadFault.ARTIFACT_NOT_FOUND
