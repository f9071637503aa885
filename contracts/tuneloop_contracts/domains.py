"""Which domain a text belongs to by its words. The server routes `auto` by it; the harvest also asks what a text is like."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from tuneloop_contracts.model import Wire
from tuneloop_contracts.names import DOMAIN_PATTERN

GENERAL = "general"
"""The domain of a text that no keyword claims, where a target has it."""

_WORD = re.compile(r"[\w+#.]*[\w+#]")
_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,15}://\S+")

Keyword = Annotated[str, Field(min_length=2, max_length=80)]
Example = Annotated[str, Field(max_length=500)]


class Domain(Wire):
    """A kind of question, with an adapter of its own."""

    name: str = Field(
        pattern=DOMAIN_PATTERN,
        max_length=40,
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
        "source code", "my code", "this code", "python", "java", "javascript", "typescript", "c++", "c#", "golang", "html", "css", "json",
        "yaml", "function", "variable", "module", "compile", "compiler", "debug", "debugger", "bug", "exception", "traceback",
        "stack trace", "algorithm", "database", "sql", "mysql", "postgresql", "query", "api", "endpoint", "backend", "frontend", "server",
        "localhost", "http", "https", "dns", "ssh", "tcp", "linux", "ubuntu", "debian", "kernel", "docker", "dockerfile", "kubernetes",
        "kubectl", "nginx", "git", "github", "bash", "powershell", "shell script", "command line", "pip", "npm", "node.js", "react",
        "django", "numpy", "memory leak", "segmentation fault", "regex", "unit test", "deploy", "install", "programming", "file system",
        "syntax", "recursion", "meu código", "código fonte", "função", "variável", "compilar", "compilador", "depurar", "exceção",
        "algoritmo", "banco de dados", "consulta sql", "servidor", "instalar", "programação", "erro de sintaxe", "linha de comando",
        "expressão regular", "recursão", "kafka", "redis", "postgres", "mongodb", "nosql", "terraform", "ansible", "jenkins", "gitlab",
        "webpack", "flexbox", "graphql", "oauth", "tls", "xml", "mutex", "jvm", "pytorch", "tensorflow", "scikit-learn",
    )),
    Domain(name="support", keywords=(
        "refund", "money back", "invoice", "billing", "charged me", "charged twice", "been charged", "overcharged", "subscription",
        "cancel my", "forgot my password", "reset my password", "log in", "login", "sign in", "my account", "my order", "order number",
        "my package", "my parcel", "delivery", "shipping", "shipment", "tracking number", "return policy", "customer service",
        "customer support", "support ticket", "help desk", "complaint", "warranty", "upgrade my plan", "payment", "discount code",
        "reembolso", "estorno", "dinheiro de volta", "fatura", "cobrança", "cobrado", "cobraram", "minha assinatura",
        "cancelar a assinatura", "esqueci minha senha", "redefinir a senha", "minha senha", "minha conta", "entrar na conta",
        "meu pedido", "número do pedido", "minha encomenda", "entrega", "frete", "rastreio", "nota fiscal", "política de troca",
        "fazer a troca", "devolução", "atendimento", "atendente", "meu chamado", "reclamação", "garantia", "pagamento", "cupom",
        "bought from you", "your store", "your shop", "gift card", "unsubscribe", "que comprei", "comprei com vocês", "vale-presente",
    )),
    Domain(name="legal", keywords=(
        "contract", "clause", "liability", "lawsuit", "sue", "sued", "attorney", "lawyer", "court", "license agreement", "copyright",
        "trademark", "patent", "gdpr", "compliance", "terms of service", "privacy policy", "jurisdiction", "plaintiff", "defendant",
        "statute", "legal advice", "legal action", "legally", "tort", "arbitration", "indemnity", "landlord", "tenant", "evict",
        "divorce", "custody", "inheritance", "non-compete", "power of attorney", "contrato", "cláusula", "responsabilidade civil",
        "processo judicial", "entrar na justiça", "advogado", "advogada", "tribunal", "juiz", "direitos autorais", "marca registrada",
        "patente", "lgpd", "termos de uso", "política de privacidade", "jurídico", "por lei", "na lei", "indenização", "justa causa",
        "código penal", "código civil", "código de defesa do consumidor", "divórcio", "inquilino", "despejo", "herança", "testamento",
        "procuração", "pensão alimentícia", "rescisão", "is it legal", "is it illegal", "unlawful", "statutory", "due process",
        "habeas corpus", "subpoena", "felony", "misdemeanor", "usucapião", "liminar", "juizado",
    )),
    Domain(name=GENERAL),
)  # fmt: skip
"""Of their keywords none is here that often means another thing ("code", "order", "conta"): a record is trained on where they lead."""


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


class Keywords:
    """The keywords of some domains, ready to be looked for in many texts."""

    def __init__(self, domains: Sequence[Domain]) -> None:
        self._by_first_word: dict[str, list[tuple[int, str]]] = defaultdict(list)
        """Of each phrase, its place in the domains' order; a text has few of these words, and only their phrases are looked for."""
        self._keywords = tuple((domain.name, keyword) for domain in domains for keyword in domain.keywords)
        for place, (_, keyword) in enumerate(self._keywords):
            if first := (phrase := _fold(keyword)).split(" ")[1]:  # "??" has no word, and would be found in every empty text
                self._by_first_word[first].append((place, phrase))

    def found_in(self, text: str) -> dict[str, list[str]]:
        """Those of each domain that occur in `text`, as the domain writes them; domains without one are left out."""
        words = _fold(text)
        begun = self._by_first_word.keys() & set(words.split(" "))
        found: dict[str, list[str]] = {}
        for place in sorted(place for word in begun for place, phrase in self._by_first_word[word] if phrase in words):
            name, keyword = self._keywords[place]
            found.setdefault(name, []).append(keyword)
        return found


@lru_cache(maxsize=256)
def _phrases(domain: Domain) -> tuple[tuple[str, float], ...]:
    keywords = {_fold(keyword): 1.0 for keyword in domain.keywords}
    from_examples = {f" {word} ": 0.5 for example in domain.examples for word in _fold(example).split() if len(word) > 4}
    return tuple((phrase, weight) for phrase, weight in (from_examples | keywords).items() if phrase.strip())


def _occurrences(words: str, weight: float, phrase: str) -> float:
    return weight * words.count(phrase)


def _fold(text: str) -> str:
    """Lower case, no accents, one space around every word: so ` fatura ` is found in "A FATURA, por favor" and not in "manufatura"."""
    return " " + " ".join(_WORD.findall(without_accents(without_urls(text).lower()))) + " "


def without_urls(text: str) -> str:
    """What an address is made of (`https`, `github`, `api`) says little about the question."""
    return _URL.sub(" ", text) if "://" in text else text


def without_accents(text: str) -> str:
    """Compatibility forms made plain too (NFKD)."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if c.isascii() or not unicodedata.combining(c))
