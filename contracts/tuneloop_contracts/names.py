"""Names that users and other images see."""

import re

RELEASE = "0.1.0"
"""Of all parts together, as in pyproject.toml."""

GROUP = "tuneloop.dev"
VERSION = "v1alpha1"

TARGET_LABEL = f"{GROUP}/target"
"""On everything made for an InferenceTarget: its name."""
JOB_LABEL = f"{GROUP}/finetunejob"
"""On the Jobs and pods of a FineTuneJob: its name."""
STEP_LABEL = f"{GROUP}/step"
"""`harvest` or `train`, on the Jobs and pods of a FineTuneJob."""
ROLLBACK_ANNOTATION = f"{GROUP}/rollback-to"
"""On a LoRAAdapter: the revision that should serve."""
TRAINED_BY_ANNOTATION = f"{GROUP}/trained-by"
"""On a LoRAAdapter: the FineTuneJob that published its artifact."""
DATA_UNTIL_ANNOTATION = f"{GROUP}/data-until"
"""On a LoRAAdapter: where the window of its training data ends (RFC 3339); an older window never replaces a newer."""

MAX_NAME = 45
"""Longest name of a custom resource (characters): child Jobs add a suffix, pods another, and 63 is the limit of a label."""
AUTO = "auto"
"""The model name that routes by content."""

DOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"
REVISION_PATTERN = r"^[a-z0-9][-a-z0-9]*-v[1-9][0-9]*-[0-9a-f]{8}$"
_REVISION = re.compile(REVISION_PATTERN)


def revision_name(domain: str, number: int, digest: str) -> str:
    """The immutable name of one adapter's weights, as in `support-v3-1a2b3c4d`."""
    return f"{domain}-v{number}-{digest.removeprefix('sha256:')[:8]}"


def revision_number(name: str) -> int:
    """The N of `<domain>-v<N>-<digest8>`; 0 for anything else."""
    return int(name.rsplit("-", 2)[1].removeprefix("v")) if _REVISION.fullmatch(name) else 0


def revision_domain(name: str) -> str:
    """The domain of `<domain>-v<N>-<digest8>`; "" for anything else."""
    return name.rsplit("-", 2)[0] if _REVISION.fullmatch(name) else ""


def manifest_configmap(target: str) -> str:
    """The ConfigMap that the pods of a target watch."""
    return f"{target}-adapters"


def adapter_name(target: str, domain: str) -> str:
    """The LoRAAdapter that a FineTuneJob publishes a domain of a target to."""
    return f"{target}-{domain}"
