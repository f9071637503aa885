"""Is a new adapter better than what serves, and safe to serve? Without torch: figures in, a verdict out.

    prompts     the safety set and the trigger set: their format
    sets/       the two sets that come with Tuneloop
    answers     figures of an answer against the one that people got
    interval    how sure a mean difference is
    evidence    all that is known of a candidate
    verdict     the gate: rules over the evidence, the first that speaks decides
    card        what an adapter says of itself
"""
