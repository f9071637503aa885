"""All that the operator is told by its environment, read once."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from tuneloop_contracts.durations import parse_duration


class InvalidSettings(ValueError):
    """The environment must be edited; every fault by its variable."""


def _comma_list(text: object) -> object:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


class Settings(BaseModel):
    """Frozen; each field is the variable of the same name in capitals."""

    model_config = ConfigDict(frozen=True)

    watch_namespaces: Annotated[tuple[str, ...], BeforeValidator(_comma_list)] = ()
    """Namespaces to look after; empty is the whole cluster."""
    pod_namespace: str = "default"
    """Where this operator runs, and its Lease is."""
    pod_name: str = "tuneloop-operator"
    """Who holds the Lease."""
    harvest_image: Annotated[str, Field(min_length=1)]
    trainer_image: Annotated[str, Field(min_length=1)]
    image_pull_secrets: Annotated[tuple[str, ...], BeforeValidator(_comma_list)] = ()
    """Secrets in a job's own namespace that its pods pull with, beside those that it names."""
    image_pull_policy: Annotated[str, Field(pattern="^(Always|IfNotPresent|Never)$")] = "IfNotPresent"
    progress_url: Annotated[str, Field(pattern="^https?://[^/]+$")]
    """Base URL under which job pods reach the progress receiver."""
    probes_port: int = 8080
    progress_port: int = 8082
    enable_fine_tuning: bool = True
    """False: jobs wait, with the reason FineTuningDisabled."""
    auto_training_interval: str = "7d"
    """A target that had no job for that long gets one; empty is off."""
    min_examples_per_domain: Annotated[int, Field(ge=1)] = 50
    training_data_days: Annotated[int, Field(ge=1, le=36500)] = 30
    lora_rank: Annotated[int, Field(ge=1, le=512)] = 16
    lora_alpha: Annotated[int, Field(ge=1, le=1024)] = 32
    training_epochs: Annotated[int, Field(ge=1, le=100)] = 3
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-4

    @field_validator("auto_training_interval")
    @classmethod
    def _duration(cls, text: str) -> str:
        if text:
            parse_duration(text)
        return text

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raises InvalidSettings naming every variable at fault. A variable that is set but empty counts as not set."""
        given = {name: environment[name.upper()] for name in cls.model_fields if environment.get(name.upper())}
        if "AUTO_TRAINING_INTERVAL" in environment:
            given["auto_training_interval"] = environment["AUTO_TRAINING_INTERVAL"]  # empty means off
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            faults = [f"{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
            raise InvalidSettings("\n".join(faults)) from None
