"""Names and addresses too, by Microsoft Presidio: in an image of one's own that holds it, where the environment asks for it.

Not in our images: with spaCy and a language model it weighs 300 MB and more, and takes some 10 ms a text where the rules take 0.1.
Its recognisers of numbers are not asked: ours are surer, and quicker.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Protocol

from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.curate.redact.find import find
from tuneloop_trainer.curate.redact.span import Find, Kind, Span, without_overlaps
from tuneloop_trainer.errors import NeedsEdit

PRESIDIO_ENV = "PII_PRESIDIO"
"""The path of an analyzer's configuration as Presidio documents it (languages, models, recognisers), or `default` for Presidio's own."""
KINDS = {"PERSON": Kind.PERSON, "LOCATION": Kind.ADDRESS, "ADDRESS": Kind.ADDRESS, "STREET_ADDRESS": Kind.ADDRESS}
"""The entities that are asked for: Presidio's own, and two names that recognisers of addresses have."""


class Result(Protocol):
    start: int
    end: int
    entity_type: str


class Analyzer(Protocol):
    """What is used of Presidio's AnalyzerEngine."""

    supported_languages: Sequence[str]

    def get_supported_entities(self, language: str) -> Sequence[str]: ...

    def analyze(self, text: str, language: str, entities: list[str]) -> Sequence[Result]: ...


def finder(env: Mapping[str, str]) -> Find:
    """The rules, and Presidio beside them where the environment asks for it. Raises NeedsEdit where it is not there or cannot start."""
    configuration = env.get(PRESIDIO_ENV, "")
    return beside(_engine(configuration)) if configuration else find


def beside(analyzer: Analyzer) -> Find:
    """In every language that the analyzer knows: a conversation may be in any."""
    asked = {
        language: [entity for entity in KINDS if entity in analyzer.get_supported_entities(language)]
        for language in analyzer.supported_languages
    }

    def recognised(text: str) -> Iterator[Span]:
        for language, entities in asked.items():
            for result in analyzer.analyze(text, language, entities) if entities else ():
                yield Span(result.start, result.end, KINDS[result.entity_type])

    return lambda text: without_overlaps([*find(text), *recognised(text)])


def _engine(configuration: str) -> Analyzer:
    try:
        provider = import_module("presidio_analyzer").AnalyzerEngineProvider
        engine: Analyzer = provider(None if configuration == "default" else configuration).create_engine()
    except ImportError as error:
        raise _fault("but presidio_analyzer is not installed: use an image that holds it") from error
    except (Exception, SystemExit) as error:  # spaCy ends the process where a model can be neither found nor downloaded
        raise _fault(f"but Presidio cannot start ({type(error).__name__}): check its configuration and models") from error
    return engine


def _fault(why: str) -> NeedsEdit:
    return NeedsEdit(FaultReason.INVALID_CONFIG, f"{PRESIDIO_ENV} is set, {why}")
