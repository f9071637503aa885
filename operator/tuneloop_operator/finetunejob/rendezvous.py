"""A training over several pods, and how they find one another: an Indexed Job, whose first pod has a name of its own in the DNS. Pure."""

from tuneloop_contracts.jobs import MASTER_ENV, MASTER_PORT
from tuneloop_contracts.names import JOB_LABEL, STEP_LABEL
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, Object
from tuneloop_operator.api.owners import owner_reference
from tuneloop_operator.finetunejob.indexed import indexed
from tuneloop_operator.finetunejob.snapshot import Snapshot


def service_name(seen: Snapshot) -> str:
    """A Service's name begins with a letter; a job's need not. The uid tells it from that of an earlier job of this name, which the
    garbage collector is about to take."""
    return f"train-{seen.name}-{seen.uid[:8]}"


def service(seen: Snapshot) -> Object:
    """Headless, and with pods that are not ready: they are looked for while they start."""
    owner = owner_reference(FINE_TUNE_JOBS, seen.name, seen.uid)
    selector = {JOB_LABEL: seen.name, STEP_LABEL: "train"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service_name(seen), "namespace": seen.namespace, "labels": selector, "ownerReferences": [owner]},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector,
            "ports": [{"name": "rendezvous", "port": MASTER_PORT}],
        },
    }


def over_nodes(job: Object, seen: Snapshot) -> Object:
    """The training Job as one pod a node. When one fails the others fail with it, and all of them count as failures."""
    nodes, pod = seen.spec.pods.nodes, job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    first = {"name": MASTER_ENV, "value": f"{job['metadata']['name']}-0.{service_name(seen)}"}
    named = pod | {"subdomain": service_name(seen), "containers": [container | {"env": [*container["env"], first]}]}
    return indexed(job | {"spec": job["spec"] | {"template": job["spec"]["template"] | {"spec": named}}}, nodes)
