"""The custom resources as frozen values, one file a kind; `python -m tuneloop_operator.api.crd crds/` writes them as CRDs."""
