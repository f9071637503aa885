"""One pass over an InferenceTarget: look at its Deployment and pods, settle its adapters, keep its ConfigMap, say how it is."""
