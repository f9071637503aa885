"""The inference server: OpenAI's HTTP in front of one base model and the adapters that its target's manifest names.

    __main__ settings        start, environment
    parts app serve          all of the below put together; as HTTP; on two ports, to an end in good order
    lifecycle supervisor background    requests that run, tasks that go on, work that gives way to the model
    errors                   one tree of exceptions -> OpenAI's error body
    tenants head body upgrade    the gate: who asks, how much at a time; and what they send
    routing                  model name -> revision (pure)
    chat completions models feedback status    what clients and the operator ask: protocol, service, routes each
    adapters                 from a manifest entry to weights that answer: fetch, preflight, load, probe, drain
    manifest mounted         follows the adapter manifest: a ConfigMap or a file
    notifier                 tells the operator's long poll of a change
    engine                   the model: decoding in batches on one thread here, or by vLLM beside us
    tracing                  spans of answers, for those who set an OTLP endpoint
    cache                    finished answers of deterministic requests
    semcache embeddings      answers to the same question in other words; and its embedder, for clients
    record                   what was asked and answered, to Redis, in the background
    connect circuit          to a Redis, however it is deployed, that may be unavailable
    metrics                  what Prometheus scrapes

The law: routes speak HTTP and nothing else; nothing that came over HTTP changes what is served.
"""
