"""The Jobs of a FineTuneJob, and the configurations in them. Pure."""

from collections.abc import Mapping, Sequence

from tuneloop_contracts import jobs as contract
from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.manifest import salt_of
from tuneloop_contracts.model import Wire
from tuneloop_contracts.names import JOB_LABEL, STEP_LABEL, TARGET_LABEL
from tuneloop_contracts.progress import PROGRESS_PATH
from tuneloop_contracts.stores import Store, claim_of, mount_path
from tuneloop_operator.api.finetunejob import WindowStatus
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.inferencetarget import Store as StoreSpec
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, Object
from tuneloop_operator.api.model import NameRef
from tuneloop_operator.api.owners import owner_reference
from tuneloop_operator.finetunejob.facts import least_examples
from tuneloop_operator.finetunejob.indexed import indexed
from tuneloop_operator.finetunejob.jobs import job_name
from tuneloop_operator.finetunejob.rendezvous import over_nodes
from tuneloop_operator.finetunejob.snapshot import Snapshot
from tuneloop_operator.settings import Settings

USER = 65532
"""Of every image; also the group that owns what the pods write."""
TOKEN_FOLDER, TOKEN_SECONDS = "/var/run/secrets/tuneloop", 3600
DATASETS_PREFIX = "_datasets"
"""Below the adapters' store, where a target names no other for its datasets. No domain can be called so."""
GPU = "nvidia.com/gpu"
HARVEST_RESOURCES: Object = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}


def harvest_config(seen: Snapshot, target: InferenceTargetSpec, settings: Settings, window: WindowStatus) -> contract.HarvestConfig:
    data = seen.spec.data
    return contract.HarvestConfig(
        job=f"{seen.namespace}/{seen.name}",
        job_uid=seen.uid,
        target=f"{seen.namespace}/{seen.spec.target_ref.name}",
        redis_mode=target.redis.mode,
        window_start=window.from_,
        window_end=window.to,
        domains=target.domains,
        selected=data.domains,
        tenants=data.tenants,
        min_examples_per_domain=least_examples(seen, settings),
        max_examples_per_domain=data.max_examples_per_domain,
        held_out=seen.spec.evaluation.held_out,
        min_held_out=seen.spec.evaluation.min_held_out,
        curation=contract.Curation(**data.curation.model_dump()),
        imports=tuple(contract.Import(format=one.format, prefix=one.prefix) for one in data.imports),
        salt=salt_of(seen.target.uid) if seen.target else "",
        datasets_uri=datasets(target).uri,
        archive=target.artifacts.archive,
        seed=seen.spec.training.seed,
    )


def train_config(seen: Snapshot, target: InferenceTargetSpec, settings: Settings, dataset: Dataset) -> contract.TrainConfig:
    spec = seen.spec
    return contract.TrainConfig(
        job=f"{seen.namespace}/{seen.name}",
        job_uid=seen.uid,
        target=f"{seen.namespace}/{spec.target_ref.name}",
        base_model=target.base_model.name,
        base_uri=target.base_model.uri,
        expected_base_digest=seen.target.base_digest if seen.target else "",
        dataset=dataset,
        datasets_uri=datasets(target).uri,
        adapters_uri=target.artifacts.adapters.uri,
        serving=serving(seen, dataset.trainable or tuple(domain.name for domain in target.domains)),
        lora=contract.Lora(
            rank=spec.lora.rank or settings.lora_rank,
            alpha=spec.lora.alpha or settings.lora_alpha,
            dropout=spec.lora.dropout,
            target_modules=spec.lora.target_modules,
        ),
        training=contract.Training(
            epochs=spec.training.epochs or settings.training_epochs,
            learning_rate=spec.training.learning_rate or settings.learning_rate,
            **spec.training.model_dump(include={"max_sequence_length", "tokens_per_step", "precision", "quantization", "seed"}),
        ),
        gate=contract.Gate(
            mode=spec.evaluation.gate,
            **spec.evaluation.model_dump(include={"min_improvement", "max_forgetting", "min_held_out"}),
        ),
        workers=contract.Workers(nodes=spec.pods.nodes, per_node=max(1, spec.pods.gpus)),
    )


def serving(seen: Snapshot, domains: Sequence[str]) -> tuple[contract.ServingAdapter, ...]:
    """What the gate compares candidates with: whatever serves the domain, whoever made it."""
    found = {domain: seen.published_to(domain) for domain in domains}
    return tuple(
        contract.ServingAdapter(domain=domain, revision=adapter.active.name, uri=adapter.active.uri, digest=adapter.active.digest)
        for domain, adapter in found.items()
        if adapter and adapter.active and not seen.is_another(adapter, domain)
    )


def datasets(target: InferenceTargetSpec) -> StoreSpec:
    adapters = target.artifacts.adapters
    return target.artifacts.datasets or StoreSpec(uri=Store(adapters.uri).below(DATASETS_PREFIX).uri, secret_ref=adapters.secret_ref)


def harvest_job(seen: Snapshot, target: InferenceTargetSpec, settings: Settings, window: WindowStatus) -> Object:
    store, together = datasets(target), seen.spec.data.parallelism
    env: list[Object] = [
        {"name": contract.REDIS_URL_ENV, "valueFrom": {"secretKeyRef": {"name": target.redis.secret_ref.name, "key": "url"}}},
        *([{"name": contract.PODS_ENV, "value": str(together)}] if together > 1 else []),
    ]
    container = _container(seen, settings, "harvest", settings.harvest_image, harvest_config(seen, target, settings, window), env)
    container |= {"resources": HARVEST_RESOURCES, "envFrom": _secrets(store.secret_ref)}
    job = _job(seen, "harvest", _pod(seen, settings, container, {claim_of(store.uri): True}))
    return indexed(job, together) if together > 1 else job


def train_job(seen: Snapshot, target: InferenceTargetSpec, settings: Settings, dataset: Dataset) -> Object:
    pods, store, adapters, base = seen.spec.pods, datasets(target), target.artifacts.adapters, target.base_model
    container = _container(seen, settings, "train", pods.image or settings.trainer_image, train_config(seen, target, settings, dataset), [])
    gpus = {GPU: str(pods.gpus)} if pods.gpus else {}
    resources = {"requests": pods.resources.requests, "limits": pods.resources.limits | gpus}
    container |= {
        "resources": {part: amounts for part, amounts in resources.items() if amounts},
        "envFrom": _secrets(base.secret_ref, store.secret_ref, adapters.secret_ref),
    }
    read = (base.uri, dataset.uri, store.uri)
    claims = {claim_of(uri): False for uri in read} | {claim_of(adapters.uri): True}  # of a shared claim, the last word counts
    pod = _pod(seen, settings, container, claims)
    pod |= {
        key: value
        for key, value in (
            ("nodeSelector", pods.node_selector),
            ("tolerations", [toleration.to_wire() for toleration in pods.tolerations]),
            ("affinity", pods.affinity.to_wire()),
        )
        if value
    }
    job = _job(seen, "train", pod)
    return over_nodes(job, seen) if pods.nodes > 1 else job


def _job(seen: Snapshot, step: str, pod: Object) -> Object:
    labels = {
        **seen.spec.pods.labels,
        TARGET_LABEL: seen.spec.target_ref.name,
        JOB_LABEL: seen.name,
        STEP_LABEL: step,
    }
    owner = owner_reference(FINE_TUNE_JOBS, seen.name, seen.uid)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job_name(seen.name, step), "namespace": seen.namespace, "labels": labels, "ownerReferences": [owner]},
        "spec": {
            "activeDeadlineSeconds": seen.spec.active_deadline_seconds,  # the Job controller stops this clock while it is suspended
            "backoffLimit": seen.spec.backoff_limit,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": step, "operator": "In", "values": [contract.EXIT_NEEDS_EDIT]},
                    },
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _pod(seen: Snapshot, settings: Settings, container: Object, claims: Mapping[str, bool]) -> Object:
    """`claims`: by name, whether they are written to; "" is no claim."""
    mounted = {claim: written for claim, written in claims.items() if claim}
    token = {"path": "token", "audience": contract.PROGRESS_AUDIENCE, "expirationSeconds": TOKEN_SECONDS}
    container["volumeMounts"] = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own emptyDir
        {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        *(
            {"name": f"store-{n}", "mountPath": mount_path(claim), "readOnly": not written}
            for n, (claim, written) in enumerate(mounted.items())
        ),
    ]
    pods = seen.spec.pods
    secrets = dict.fromkeys((*(secret.name for secret in pods.image_pull_secrets), *settings.image_pull_secrets))
    return {
        "restartPolicy": "Never",
        "serviceAccountName": "default",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"priorityClassName": pods.priority_class_name} if pods.priority_class_name else {}),
        **({"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}),
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
            *({"name": f"store-{n}", "persistentVolumeClaim": {"claimName": claim}} for n, claim in enumerate(mounted)),
        ],
    }  # fmt: skip


def _container(seen: Snapshot, settings: Settings, step: str, image: str, config: Wire, env: list[Object]) -> Object:
    """Ours come last: of two variables of one name, the last one counts."""
    path = PROGRESS_PATH.format(namespace=seen.namespace, name=seen.name)
    return {
        "name": step,
        "image": image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "-m", "tuneloop_trainer", step],
        "env": [
            *(variable.to_wire() for variable in seen.spec.pods.env),
            {"name": contract.CONFIG_ENV, "value": config.model_dump_json(by_alias=True, exclude_none=True)},
            *env,
            {"name": contract.PROGRESS_URL_ENV, "value": f"{settings.progress_url}{path}"},
            {"name": contract.PROGRESS_TOKEN_ENV, "value": f"{TOKEN_FOLDER}/token"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": contract.TERMINATION_FILE,
        "terminationMessagePolicy": "File",
    }  # fmt: skip


def _secrets(*references: NameRef | None) -> list[Object]:
    """Each once, in order."""
    names = dict.fromkeys(reference.name for reference in references if reference)
    return [{"secretRef": {"name": name}} for name in names]
