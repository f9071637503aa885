"""The operator: FineTuneJobs become Jobs, their adapters become LoRAAdapters, and those become what a target's pods serve.

    __main__ app settings   start it: own Lease, watches, queue, probes, progress receiver
    api/                    the custom resources as values; crds/*.yaml is written from them
    context                 what every pass works with
    queue                   keys of objects that deserve a look
    reference_index         which objects point at which, so that a change reaches all that it concerns
    inferencetarget/ finetunejob/ loraadapter/
                            one pass each: handlers -> observe -> plan (pure) -> manifests (pure) -> act
    ledger/                 the revisions of a target's adapters and how they move (pure)
    reporting               writes a status, when it changed
    progress/               the receiver of the job pods' progress and reports
    metrics probes          for Prometheus and the kubelet
    clients/                the only code that talks to the network

Every pass reads the world afresh, decides in a pure function, acts by create-or-get, and writes status once, when it changed.
"""
