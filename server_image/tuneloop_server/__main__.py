"""Settings, model, parts, ports: `python -m tuneloop_server`; `match` judges pairs of texts as the semantic cache does."""

import argparse
import logging
import os
import sys

import uvloop

from tuneloop_server.settings import BadSettings, Settings

log = logging.getLogger("tuneloop_server")

HELP = """Runs the inference server. Its settings are environment variables, of which MODEL_PATH is required: see tuneloop_server.settings.
`match` judges pairs of texts instead: `match --help`."""


async def run(settings: Settings) -> None:
    from tuneloop_server.engine.start import started  # seconds of imports: faults in the settings are told before them
    from tuneloop_server.parts import Parts
    from tuneloop_server.serve import serve

    async with started(settings) as engine:
        log.info("base model %s: %s; %s", settings.model_name, engine.facts.description, engine.facts.digest)
        parts = Parts(settings, engine)
        log.info("listening on %s: API on port %d, status on port %d", settings.host, settings.port, settings.status_port)
        await serve(parts)


def set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # looked up for each line, and not in it
    theirs = logging.getLogger("uvicorn.error")
    theirs.setLevel(logging.WARNING)
    # we log these ourselves, without the exception's text, which may hold a prompt
    theirs.addFilter(lambda record: not record.getMessage().startswith("Exception in ASGI application"))


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["match"]:
        from tuneloop_server.semcache.match import main as match

        return match(arguments[1:])
    argparse.ArgumentParser("python -m tuneloop_server", description=HELP).parse_args(arguments)
    set_up_logging()
    try:
        uvloop.run(run(Settings.from_env(os.environ)))
    except (BadSettings, FileNotFoundError) as error:
        log.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
