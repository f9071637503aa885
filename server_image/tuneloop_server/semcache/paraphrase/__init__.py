"""Whether two texts ask the same, by a model: asked where the guard's lists end, that is of texts that are worded anew. English.

    comparison   MiniLM's states of the tokens of two texts -> how sure it is that they ask the same
    model        several of them, with what was read lately; the threshold

The weights are made by models/paraphrase/train.py. What it says counts only where it is sure, and never against a rule that names what
sets two texts apart.
"""
