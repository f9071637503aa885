"""Whether two texts ask the same, so that one answer serves both. Pure: word lists and rules, no model.

    words        the lists: frames, phrases, forms, stop words, synonyms, near words (near: from WordNet; loose: by hand), light words,
                 kinds, scopes, opposites; English and, of the most, Portuguese
    frames       ways of asking -> what they ask
    lexicon      reads the lists
    grammar      closed classes: negators, auxiliaries, prepositions
    spelling     slips of the keys
    accents      what the other text writes with them
    acronyms     what the other text spells out
    compounds    what the other text writes as one word
    phrases      what the other text says in other words
    numerals     numbers, also spelled
    reading      text -> what the rules look at
    align        words that stand for each other in this pair alone, and words that add nothing
    rules        numbers · negation · quotation · opposites · names · question · persons · content · direction · order
    judge        the rules in order; the first that speaks rejects with its reason

The law: when in doubt, reject. A word that no list knows counts as content, and content must be equal once aligned; so a language that no
list knows is served only for texts that are nearly the same.
"""
