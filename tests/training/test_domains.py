from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from training.questions import OF_NONE, QUESTIONS
from tuneloop_contracts.domains import DEFAULT_DOMAINS, Domain, Keywords
from tuneloop_trainer.domains.classify import UNASSIGNED, Classifier
from tuneloop_trainer.domains.file import domains_in
from tuneloop_trainer.domains.portuguese import in_english
from tuneloop_trainer.domains.seeds import built_in
from tuneloop_trainer.domains.similarity import BLOCK, Centroids
from tuneloop_trainer.errors import NeedsEdit

SALES = Domain(name="sales", examples=("How much is a licence for fifty seats?", "Can we get a quote and a demo?", "Who sells to us?"))
PETS = Domain(name="pets", keywords=("hamster", "gato"), examples=("My dog does not eat its food", "How often should a cat be fed?"))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(DEFAULT_DOMAINS)


@pytest.mark.parametrize("language", ["English", "Portuguese"])
@pytest.mark.parametrize("domain", QUESTIONS)
def test_questions_that_nothing_was_made_to_know(domain: str, language: str, classifier: Classifier) -> None:
    """Of all 160, 156 were right when this was written, none another domain's, 4 unassigned."""
    questions = QUESTIONS[domain][:20] if language == "English" else QUESTIONS[domain][20:]
    got = Counter(classifier.classify(question).domain for question in questions)
    assert got[domain] >= 17
    assert 20 - got[domain] - got[UNASSIGNED] <= 2


@pytest.mark.parametrize(
    ("name", "domain", "right", "wrong"),
    [
        pytest.param("english/coding", "technical", 0.9, 0.05, id="coding"),
        pytest.param("english/trivia", "general", 0.75, 0.08, id="a quiz"),
        pytest.param("english/greetings", "general", 0.85, 0.05, id="greetings"),
        pytest.param("portuguese/trivia", "general", 0.65, 0.1, id="a quiz in Portuguese"),
    ],
)
def test_questions_that_others_wrote(name: str, domain: str, right: float, wrong: float, classifier: Classifier) -> None:
    """From chatterbot-corpus: the first word of each conversation."""
    corpus = yaml.safe_load(files("chatterbot_corpus").joinpath(f"data/{name}.yml").read_text(encoding="utf-8"))
    questions = [str(conversation[0]) for conversation in corpus["conversations"] if conversation]
    got = Counter(classifier.classify(question).domain for question in questions)
    assert got[domain] >= right * len(questions)
    assert len(questions) - got[domain] - got[UNASSIGNED] <= wrong * len(questions)


def test_a_likeness_is_the_same_to_the_last_bit_in_any_company(classifier: Classifier) -> None:
    texts = [question for questions in QUESTIONS.values() for question in questions][: 2 * BLOCK + 7]
    centroids = Centroids(DEFAULT_DOMAINS)
    assert centroids.rank(texts) == [centroids.rank([text])[0] for text in texts]
    assert classifier.classify_all([*texts, *OF_NONE]) == [classifier.classify(text) for text in (*texts, *OF_NONE)]


@pytest.mark.parametrize("text", OF_NONE)
def test_what_says_nothing_is_unassigned(text: str, classifier: Classifier) -> None:
    verdict = classifier.classify(text)
    assert (verdict.domain, verdict.confidence) == (UNASSIGNED, 0.0)
    assert verdict.reason.startswith("Unassigned: ")


@pytest.mark.parametrize(
    ("text", "domain", "reason"),
    [
        pytest.param("Quero o REEMBOLSO da última fatura", "support", "Keyword: reembolso, fatura", id="in any case"),
        pytest.param("refund refund refund, says my lawyer in court", "legal", "Keyword: lawyer, court", id="of two, the more"),
        pytest.param("my lawyer was late for the divorce, refund", "legal", "Keyword: lawyer, divorce", id="and surer than similarity"),
    ],
)
def test_keywords_come_first(text: str, domain: str, reason: str, classifier: Classifier) -> None:
    verdict = classifier.classify(text)
    assert (verdict.domain, verdict.reason) == (domain, reason)
    assert 0.5 < verdict.confidence <= 1


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        pytest.param("Who won the match on the tennis court yesterday?", "general", id="tennis court"),
        pytest.param("Sue is my sister; what should I give her for Christmas?", "general", id="a name"),
        pytest.param("How can I test a payment webhook locally?", "technical", id="payment"),
        pytest.param("Java é uma ilha da Indonésia, o que ver lá?", "general", id="an island"),
        pytest.param("The Python course that I bought does not open", "support", id="a course"),
        pytest.param("https://api.github.com/python", UNASSIGNED, id="an address"),
    ],
)
def test_a_keyword_that_the_rest_of_the_text_contradicts_decides_nothing(text: str, domain: str, classifier: Classifier) -> None:
    assert classifier.classify(text).domain == domain


def test_a_keyword_of_a_users_own_always_decides() -> None:
    classifier = Classifier((Domain(name="legal", keywords=("serve",)), *DEFAULT_DOMAINS[:2]))
    assert classifier.classify("My sister likes to serve tea on the tennis lawn").reason == "Keyword: serve"


def test_only_many_keywords_are_nearly_certain(classifier: Classifier) -> None:
    one, three, of_two = (classifier.classify(text).confidence for text in ("my lawyer", "lawyer, court, divorce", "lawyer, court, refund"))
    assert 0.5 < of_two < one < three < 1


def test_as_many_keywords_of_two_domains_leave_it_to_likeness(classifier: Classifier) -> None:
    verdict = classifier.classify("Which function of the contract sets the return value of an algorithm in a clause?")
    assert not verdict.reason.startswith("Keyword: ")


def test_a_domain_of_ones_own_needs_keywords_or_examples_only() -> None:
    classifier = Classifier((PETS, SALES, Domain(name="unknown")))
    assert classifier.classify("what does a hamster drink").reason == "Keyword: hamster"
    assert classifier.classify("My cat refuses its food, how should it be fed?").domain == "pets"
    assert classifier.classify("We need a quote for thirty licences and a demo").domain == "sales"


def test_small_talk_is_nobodys_where_there_is_no_general_domain() -> None:
    verdict = Classifier((PETS,)).classify("Who painted the Mona Lisa?")
    assert (verdict.domain, verdict.reason.split(", but ")[1]) == (UNASSIGNED, "to general, which is none of the domains")


def test_a_portuguese_text_lends_english_words_and_others_stay() -> None:
    assert in_english("Não consigo instalar o Docker, e a fatura?") == "not can install docker , invoice ?"
    assert in_english("Conte a história do xadrez") == "tell story chess"
    assert in_english("I do not consent, as a tenant") == "I do not consent, as a tenant"


def test_keywords_are_given_as_their_domain_writes_them() -> None:
    found = Keywords(DEFAULT_DOMAINS).found_in("A COBRANCA e o código-fonte em Python, não manufaturas")
    assert found == {"technical": ["python", "código fonte"], "support": ["cobrança"]}


def test_every_default_domain_has_seeds_in_both_languages_each_once() -> None:
    seeds = [seed for domain in DEFAULT_DOMAINS for seed in built_in(domain.name)]
    assert min(len(built_in(domain.name)) for domain in DEFAULT_DOMAINS) > 80
    assert len(set(seeds)) == len(seeds)
    assert not set(seeds) & {question for questions in QUESTIONS.values() for question in questions}
    assert built_in("../secrets") == ()


def test_domains_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "domains.yaml"
    file.write_text("- {name: pets, keywords: [hamster]}\n", encoding="utf-8")
    assert domains_in(str(file)) == (Domain(name="pets", keywords=("hamster",)),)
    assert domains_in("") == DEFAULT_DOMAINS


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("- {name: Pets}", "0.name: ", id="not a DNS label"),
        pytest.param("{a: [", "is neither YAML nor JSON", id="not YAML"),
        pytest.param("5", "must be a list", id="not a list"),
        pytest.param(None, "cannot be read (FileNotFoundError)", id="not there"),
    ],
)
def test_a_faulty_file_of_domains_needs_an_edit(text: str | None, want: str, tmp_path: Path) -> None:
    file = tmp_path / "domains.yaml"
    if text:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(NeedsEdit) as refused:
        domains_in(str(file))
    assert want in refused.value.fault.message
