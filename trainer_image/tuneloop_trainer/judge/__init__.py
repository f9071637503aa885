"""Is a new adapter better than what serves, and safe to serve? Without torch: figures in, a verdict out.

prompts     the safety set and the trigger set: their format
sets        which are used: the user's own in the store, else the two in the folder sets/
answers     figures of an answer against the one that people got
interval    how sure a mean difference is
evidence    all that is known of a candidate
scores      the evidence as figures for status and card
verdict     the gate: rules over the evidence, the first that speaks decides
card        what an adapter says of itself
"""
