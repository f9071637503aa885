"""A dataset that a job names by data.datasetRef: what it is, from its own summary. Without torch."""

from pydantic import ValidationError

from tuneloop_contracts.dataset import SUMMARY_FILE, Dataset
from tuneloop_contracts.progress import FaultReason
from tuneloop_contracts.stores import Store
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.store import get_bytes


def resolved(named: Dataset) -> Dataset:
    """What is known already stays as it is; that its rows are those of the digest is checked when they are read.

    Raises NeedsEdit (DATASET_MISMATCH) where another dataset is at the URI, TryLater where none is.
    """
    if not named.is_only_named:
        return named
    content = get_bytes(Store(named.uri).below(SUMMARY_FILE))
    if content is None:
        message = f"{named.uri} holds no {SUMMARY_FILE}: is data.datasetRef.uri right, and the datasets store mounted here?"
        raise TryLater(FaultReason.STORE_UNAVAILABLE, message)
    try:
        found = Dataset.model_validate_json(content)
    except ValidationError as error:
        raise NeedsEdit(FaultReason.DATASET_MISMATCH, f"{named.uri}/{SUMMARY_FILE} is not the summary of a dataset") from error
    if found.digest != named.digest:
        message = f"data.datasetRef.digest is {named.digest[:19]}..., but {named.uri} holds {found.digest[:19]}...: name one of the two"
        raise NeedsEdit(FaultReason.DATASET_MISMATCH, message)
    return found.model_copy(update={"uri": named.uri})
