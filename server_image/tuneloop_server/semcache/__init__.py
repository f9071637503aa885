"""Answers to questions that were asked before in other words: off unless a domain opts in, and strict where it is on.

    partition    what two requests must share before their last texts are even compared (pure)
    guard        whether two texts ask the same: rules, the first that speaks rejects (pure)
    minilm       a small encoder, for the next and for one of the embedders
    paraphrase   the same by a model, for what is worded anew
    verdict      what both say together
    embed        text -> vector: static, MiniLM, or somebody else's over HTTP
    index        nearest vectors of one partition: a few as a matrix
    ivf          and many as lists (FAISS)
    entries      what this pod knows of the entries
    store        the entries in Redis
    follow       keeps what this pod knows like them
    tier         find, put, forget: a Tier as cache.tiers has it
    shadow       generates some hits again, and counts those that should not have been
    regenerate   what the engine answers now
    agree        whether two answers say the same
    metrics      what Prometheus learns of it
    build        all of it, put together for a server
    match        the same decision as a command, for pairs of anybody's

The law: similarity proposes, the guard decides, and the model only where the guard has no word for what it reads. Look-alike questions are
nearer to each other than most paraphrases are.
"""
