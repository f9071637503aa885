"""Which domain a question is of. Pure, but for the word vectors, which are read when they are first asked for.

    classify     the order: keywords, then similarity with a margin, else unassigned, which is never trained
    similarity   a text's similarity to the centroid of each domain's nearest seed sentences
    seeds        sentences typical of the four default domains, and of those that a target describes by examples
    file         domains in a file, as a target's spec has them
    portuguese   Portuguese words for the English ones whose vectors we have

The data: `seeds/<domain>.<language>.txt`, a sentence a line; `portuguese.txt`. A tag that a client gave comes before all this.
"""
