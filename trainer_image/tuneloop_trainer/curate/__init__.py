"""Which entries become rows, in order. Pure: no external calls, no I/O.

    example    what one entry offers, feedback joined
    admit      rules on one entry: the first that speaks drops it, by its name
    redact/    personal data out, before anything is hashed or kept
    distinct   rules on the whole: duplicates, near duplicates, caps
    split      train or held out, never one conversation on both sides
    funnel     all of it: entries -> rows, and the count of each reason
"""
