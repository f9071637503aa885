"""Dataset to judged adapters: the only part that needs torch.

    encode      conversation -> tokens, and which of them to learn (pure, given a tokenizer)
    batches     rows -> steps of so many tokens (pure)
    precision   device and number format, by capability
    threads     no more than the pod's CPU limit
    base_folder where the base model is, and whether it is the one that serves (without torch)
    base        the base model, loaded once
    adapters    LoRA on the base, and off again
    loss        cross entropy at the supervised tokens alone
    train       one domain's adapter
    evaluate    held-out loss, by answer
    publish     an adapter into the store
    effort      how far all domains together are
    domain      one domain's turn: losses, training, verdict, artifact
    finished    the report of a training that is done already (without torch)
    job         all of it, domain by domain
"""
