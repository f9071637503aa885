"""Which domain a text belongs to. The server routes `auto` by it; the harvest curates untagged records by it."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from tuneloop_contracts.model import Wire
from tuneloop_contracts.names import DOMAIN_PATTERN

GENERAL = "general"
"""The domain of a text that no keyword claims, where a target has it."""


Keyword = Annotated[str, Field(min_length=2, max_length=80)]
Example = Annotated[str, Field(max_length=500)]


class Domain(Wire):
    """A kind of question, with an adapter of its own."""

    name: str = Field(
        pattern=DOMAIN_PATTERN,
        description="Also the model id that clients may ask for: a DNS label of at most 40 characters, not `auto`, not the base's name.",
    )
    keywords: tuple[Keyword, ...] = Field(
        default=(),
        max_length=500,
        description="Words and phrases that claim a question for this domain, in any language; case and accents do not matter.",
    )
    examples: tuple[Example, ...] = Field(
        default=(), max_length=100, description="Questions typical of this domain; their words count like keywords, at half weight."
    )


DEFAULT_DOMAINS: tuple[Domain, ...] = (
    Domain(name="technical", keywords=(
        "code", "python", "java", "javascript", "function", "variable", "class", "module", "import", "compile", "compiler", "debug",
        "bug", "exception", "traceback", "stack trace", "algorithm", "database", "sql", "query", "api", "server", "linux", "kernel",
        "debian", "package", "docker", "kubernetes", "git", "script", "shell", "thread", "memory leak", "regex", "deploy", "install",
        "software", "program", "programming", "file system", "string", "syntax", "library", "operator",
        "código", "função", "variável", "compilar", "depurar", "exceção", "algoritmo", "banco de dados", "consulta sql", "servidor",
        "pacote", "instalar", "programa", "programação", "biblioteca", "rede", "erro de sintaxe",
    )),
    Domain(name="support", keywords=(
        "refund", "invoice", "billing", "charged", "charge", "subscription", "cancel my", "password", "log in", "login", "sign in",
        "account", "order", "delivery", "shipping", "return policy", "customer service", "not working", "ticket", "help desk",
        "complaint", "warranty", "upgrade my plan", "payment",
        "reembolso", "fatura", "cobrança", "cobrado", "assinatura", "cancelar", "senha", "entrar na conta", "conta", "pedido",
        "entrega", "frete", "troca", "devolução", "atendimento", "não funciona", "chamado", "reclamação", "garantia", "pagamento",
    )),
    Domain(name="legal", keywords=(
        "contract", "clause", "liability", "lawsuit", "attorney", "lawyer", "court", "license agreement", "copyright", "trademark",
        "patent", "gdpr", "compliance", "terms of service", "privacy policy", "jurisdiction", "plaintiff", "defendant", "statute",
        "legal", "tort", "arbitration", "indemnity",
        "contrato", "cláusula", "responsabilidade civil", "processo judicial", "advogado", "advogada", "tribunal", "juiz",
        "direitos autorais", "marca registrada", "patente", "lgpd", "termos de uso", "política de privacidade", "jurídico",
        "lei", "indenização", "foro",
    )),
    Domain(name=GENERAL),
)  # fmt: skip


def classify(text: str, domains: Sequence[Domain]) -> str:
    """The domain whose keywords occur most in `text`; the first listed wins a tie.

    A text without any keyword belongs to `general` if the target has it, else to no domain: "".
    """
    words = _fold(text)
    scores = [(sum(_occurrences(words, weight, phrase) for phrase, weight in _phrases(domain)), domain.name) for domain in domains]
    best = max((score for score, _ in scores), default=0.0)
    if best > 0:
        return next(name for score, name in scores if score == best)
    return GENERAL if any(domain.name == GENERAL for domain in domains) else ""


@lru_cache(maxsize=256)
def _phrases(domain: Domain) -> tuple[tuple[str, float], ...]:
    keywords = {_fold(keyword): 1.0 for keyword in domain.keywords}
    from_examples = {f" {word} ": 0.5 for example in domain.examples for word in _fold(example).split() if len(word) > 4}
    return tuple((from_examples | keywords).items())


def _occurrences(words: str, weight: float, phrase: str) -> float:
    return weight * words.count(phrase)


def _fold(text: str) -> str:
    """Lower case, no accents, one space around every word: so ` fatura ` is found in "A FATURA, por favor" and not in "manufatura"."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return " " + " ".join(re.findall(r"[a-z0-9_+#.]*[a-z0-9_+#]", plain)) + " "
