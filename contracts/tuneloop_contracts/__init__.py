"""All that crosses an image boundary, said once.

Values and pure functions only: no network, no torch, no kopf, no Kubernetes client. The operator, the trainer and the
server import this package and never one another.

    model      the base of every value on a wire
    names      the API group, labels, annotations, revision names
    record     what the server writes to Redis and the harvest reads back
    redis      the URL of that Redis, however it is deployed
    answers    where the server keeps answers to give them again
    domains    which domain a text belongs to: the server routes by it, the harvest curates by it
    dataset    the manifest of a harvested dataset
    adapters   content digest and card of an adapter
    base       content digest of a base model
    stores     artifact URIs, and where a pod finds them
    manifest   operator -> server: which adapters a target should serve
    pods       server -> operator: what a pod really serves
    durations  lengths of time as Kubernetes' users write them
    jobs       operator -> harvest and train: the one JSON document in a Job's environment
    progress   harvest and train -> operator: progress and the final report
    packing    that report in fewer bytes, for a pod's termination message

Beside it, for the server and the trainer alone: tuneloop_vectors.
"""
