"""Words of grammar that turn a meaning, English and Portuguese. A closed class each, unlike the lists of content in words/."""

NEGATORS = {
    "en": frozenset({"not", "no", "never", "neither", "nor", "none", "nothing", "nobody", "without", "unless", "except", "hardly"}),
    "pt": frozenset({"não", "nao", "sem", "nunca", "jamais", "nem", "nenhum", "nenhuma", "nada", "exceto"}),
}
"""Of one language each: in Portuguese, `no` is where something is."""
QUESTIONS = {
    "how": "how", "why": "why", "when": "when", "where": "where", "who": "who", "whom": "who", "whose": "whose", "what": "what",
    "which": "what", "como": "how", "porque": "why", "quando": "when", "onde": "where", "quem": "who", "qual": "what", "quais": "what",
}  # fmt: skip
JOINING = frozenset({"and", "or", "e", "ou"})
AUXILIARIES = frozenset(
    {
        "is", "are", "am", "was", "were", "do", "does", "did", "can", "could", "may", "might", "will", "would", "shall", "should",
        "must", "has", "have", "had", "posso", "pode", "podem", "é", "são", "foi", "existe", "há", "tem",
    }
)  # fmt: skip
TENSES = {
    "is": "present", "are": "present", "am": "present", "do": "present", "does": "present", "é": "present", "são": "present",
    "did": "past", "was": "past", "were": "past", "had": "past", "foi": "past",
    "will": "future", "shall": "future", "vai": "future",
}  # fmt: skip
MARKS = {
    "en": {
        "from": "from", "to": "to", "into": "to", "by": "by", "over": "over", "than": "than", "of": "of", "for": "for", "on": "on",
        "in": "in", "with": "with", "at": "at", "about": "about", "against": "against",
    },
    "pt": {
        "de": "from", "do": "from", "da": "from", "para": "to", "por": "by", "em": "in", "no": "in", "na": "in", "com": "with",
    },
}  # fmt: skip
"""Prepositions that give what follows a role."""
PERSONS = {"i": "1", "we": "1", "eu": "1", "nós": "1", "you": "2", "você": "2", "vocês": "2"}
OWNERS = {
    "my": "1", "our": "1", "mine": "1", "your": "2", "yours": "2", "meu": "1", "minha": "1", "seu": "2", "sua": "2",
}  # fmt: skip
ADVICE = frozenset({"best", "should", "need", "want"})
"""Concepts that tell a way or a time from none other: what is the best way to do it, how should I do it."""
TIMES = frozenset({"frequenc", "durat"})
"""Concepts of how often and how long."""
TURNING = frozenset({"from", "to", "by", "over", "than", "against"})
"""Marks that turn a meaning with what follows them, wherever that stands."""
USING = frozenset({"eat", "beverag", "consum", "need", "sleep"})
"""Concepts that an amount tells by itself: how much water should I drink, the recommended amount of water."""
SOURCES, GOALS = ("from", "by"), ("to", "for")
"""Marks that exclude each other: a gift from my boss is none for my boss."""
