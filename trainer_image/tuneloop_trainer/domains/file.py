"""Domains from a file: what stands under `spec.domains` of an InferenceTarget, to try it on texts before it routes anything."""

from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from tuneloop_contracts.domains import DEFAULT_DOMAINS, Domain
from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit

_DOMAINS = TypeAdapter(tuple[Domain, ...])


def domains_in(file: str) -> tuple[Domain, ...]:
    """A YAML or JSON list of {name, keywords, examples}; "" gives the default four. Raises NeedsEdit naming every fault."""
    if not file:
        return DEFAULT_DOMAINS
    try:
        return _DOMAINS.validate_python(yaml.safe_load(Path(file).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        fault = f"cannot be read ({type(error).__name__})"
    except yaml.YAMLError:
        fault = "is neither YAML nor JSON"
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in error.errors(include_input=False)]
        fault = f"must be a list of {{name, keywords, examples}}: {'; '.join(faults)}"
    raise NeedsEdit(FaultReason.INVALID_CONFIG, f"--domains: {file} {fault}")
