"""Applies the quickstart's InferenceTarget once its kind is served, owned by its Deployment so that both go together."""

import sys
import time
from pathlib import Path

import yaml
from kubernetes import client, config

WAIT_SECONDS = 120
PASSING = {0, 403, 404, 409, 429, 500, 502, 503, 504}
"""A kind not yet served (404), a Role not yet seen (403), an API server not yet there (0): gone in a moment."""


def main(manifest: Path) -> None:
    config.load_config()
    target, deadline = yaml.safe_load(manifest.read_text()), time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return apply(target)
        except client.ApiException as fault:
            if fault.status not in PASSING or time.monotonic() > deadline:
                sys.exit(f"InferenceTarget {target['metadata']['name']}: {fault.reason}: {fault.body}")
            time.sleep(1)


def apply(target: dict) -> None:
    name, namespace = target["metadata"]["name"], target["metadata"]["namespace"]
    deployment = client.AppsV1Api().read_namespaced_deployment(target["spec"]["deploymentRef"]["name"], namespace)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment.metadata.name, "uid": deployment.metadata.uid}
    client.CustomObjectsApi().patch_namespaced_custom_object(
        "tuneloop.dev", "v1alpha1", namespace, "inferencetargets", name,
        target | {"metadata": target["metadata"] | {"ownerReferences": [owner]}},
        field_manager="tuneloop-quickstart", force=True, _content_type="application/apply-patch+yaml",
    )  # fmt: skip
    print(f"InferenceTarget {namespace}/{name} applied")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
