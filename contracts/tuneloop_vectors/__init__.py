"""Texts as vectors without a model to run: what the server's semantic cache and the harvest's domains have in common.

Beside the contracts, and apart from them: the operator's image has neither numpy nor these 90 MB.

    files    the files of all-MiniLM-L6-v2, as an installed package carries them, and its tokenizer
    words    its word vectors, averaged over a text
"""
