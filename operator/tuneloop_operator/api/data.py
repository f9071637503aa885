"""What a FineTuneJob may say of its data: which recorded interactions to learn from, and what becomes of them before."""

from typing import Annotated

from pydantic import ConfigDict, Field

from tuneloop_contracts.jobs import ImportFormat, Pii
from tuneloop_contracts.names import DOMAIN_PATTERN
from tuneloop_operator.api.model import Digest, Duration, Model, Rule, StoreUri, validations

DomainName = Annotated[str, Field(max_length=40, pattern=DOMAIN_PATTERN)]


class CurationSpec(Model):
    """What becomes of recorded text before it is trained on."""

    pii: Pii = "Redact"
    """Whether personal data and secrets (e-mail addresses, phone and card numbers, keys, ...) are replaced by placeholders."""
    near_duplicates: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Similarity (Jaccard, 0 to 1) from which two questions count as one; 1 keeps all but exact copies."""
    max_per_user: Annotated[int, Field(ge=1, le=100000)] = 50
    """Most examples of one user in a domain."""
    require_feedback: bool = False
    """Whether only answers with a thumbs-up or a correction are trained on."""


class ImportSpec(Model):
    """A cache of others in the target's Redis, read only. Its answers are curated like recorded ones; what is newer than the window is
    left out, what is older is not. Where its entries name no tenant, they are the tenant `default`'s."""

    format: ImportFormat
    """How its keys are laid out: RedisVL, LangChainRedis, SemanticRouter, GPTCache or LiteLLM. Layouts that keep no prompt are counted."""
    prefix: Annotated[str, Field(max_length=253)] = ""
    """Of its keys, such as `llmcache:`; empty is what the format's own library uses by default."""


class DatasetRef(Model):
    """A dataset that an earlier collectOnly job collected."""

    uri: StoreUri
    """status.dataset.uri of that job."""
    digest: Digest
    """status.dataset.digest of that job."""


_EXAMPLES_RULE: Rule = {
    "rule": "!has(self.minExamplesPerDomain) || self.minExamplesPerDomain <= self.maxExamplesPerDomain",
    "message": "minExamplesPerDomain may not be above maxExamplesPerDomain: no domain could ever have enough",
}


class DataSpec(Model):
    """Which recorded interactions to train on."""

    model_config = ConfigDict(json_schema_extra=validations(_EXAMPLES_RULE))

    window: Duration | None = None
    """How far back to read, such as 30d. Default: the operator's TRAINING_DATA_DAYS."""
    min_examples_per_domain: Annotated[int, Field(ge=1, le=1000000)] | None = None
    """Fewest examples a domain is trained with. Default: the operator's MIN_EXAMPLES_PER_DOMAIN."""
    max_examples_per_domain: Annotated[int, Field(ge=1, le=1000000)] = 5000
    """Most examples a domain is trained with; the newest are kept."""
    domains: Annotated[tuple[DomainName, ...], Field(max_length=50, json_schema_extra={"x-kubernetes-list-type": "set"})] = ()
    """The target's domains to train, by name; empty is all."""
    tenants: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...],
        Field(max_length=100, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Tenants to train on. Empty is allowed only while the records hold one tenant: mixing tenants in weights is an explicit choice."""
    curation: CurationSpec = CurationSpec()
    """What becomes of the text before it is trained on."""
    imports: Annotated[tuple[ImportSpec, ...], Field(max_length=20)] = ()
    """Caches of others to learn from too."""
    dataset_ref: DatasetRef | None = None
    """Train exactly what an earlier collectOnly job collected, instead of harvesting."""
    parallelism: Annotated[int, Field(ge=1, le=64)] = 1
    """Pods that harvest together, each the conversations of its share; the dataset is the same. They must all reach its store."""
