"""The command line: the commands, and what they say of themselves."""

import argparse

from tuneloop_contracts.jobs import CONFIG_ENV, INDEX_ENV, PODS_ENV, PROGRESS_TOKEN_ENV, PROGRESS_URL_ENV, REDIS_URL_ENV, RedisMode
from tuneloop_contracts.record import DEFAULT_TENANT
from tuneloop_trainer.curate.redact.presidio import PRESIDIO_ENV

EXIT_CODES = "exit codes: 0 done, 2 needs an edit (retrying cannot help), 1 try again later"

LONGEST_WINDOW = 36_500
"""Days: no record is older than a century, and some centuries back there are no dates."""

HARVEST = f"""Collect a dataset from the recorded traffic of one target.

The operator runs this in a pod, without torch: {CONFIG_ENV} holds the job as JSON, {REDIS_URL_ENV} the Redis.
Of several pods, {PODS_ENV}, each works out its share of the conversations; number 0, by {INDEX_ENV}, makes the dataset of them.
Progress goes to {PROGRESS_URL_ENV}, with the token in the file {PROGRESS_TOKEN_ENV}."""

TRAIN = f"""Train, judge and publish one adapter for each domain of a dataset that has enough examples.

The operator runs this in a pod: {CONFIG_ENV} holds the job as JSON.
A pod that finds the report for the same inputs gives it again and trains nothing."""

RUN = """Harvest and train in one process, without Kubernetes.

Ends with a table: for each domain its examples, held-out loss of base and adapter (nats per token), verdict and folder.
A run that was killed is gone on with by the same command. Run trackers are chosen by the environment, as in a pod (MLFLOW_TRACKING_URI,
WANDB_API_KEY, TRACKIO_SPACE_ID, ...)."""

INSPECT = """Show what a Redis holds: targets, streams, days, entries, domains. Counts only, no texts."""

REDACT = f"""Take personal data and secrets out of texts, as the harvest does.

Reads JSON lines {{"id", "text"}}, writes for each {{"id", "text", "spans": [{{"start", "end", "type"}}]}}: the text redacted, and where
each thing stood, in characters of the text that was read. Types: Pem (private keys), Url (the whole of one with a password), Jwt,
ApiKey (also tokens and passwords that look random), Email, Iban, Cnpj, Cpf, Card, Ssn, Ip (v4 and v6), Phone. One value of a text
always gets the same placeholder: [EMAIL_1], [EMAIL_2], ...
In an image of your own with presidio-analyzer and its models, {PRESIDIO_ENV} (in a job: pods.env) adds Person and Address: it holds the
path of a configuration of Presidio's analyzer, or `default`.
A faulty line is named by its number on stderr, and the exit code is 2; all others are answered."""

CLASSIFY = """Say which domain a text belongs to, as the harvest does where the client named none.

Reads JSON lines {"id", "text"}, writes for each {"id", "domain", "confidence", "reason"}. First keywords decide ("Keyword: refund"),
then likeness to the domains' examples ("Centroid: similarity 0.41, margin 0.22"). What neither gives to one domain for sure is
`unassigned`, with the confidence 0, and is never trained.
A faulty line is named by its number on stderr, and the exit code is 2; all others are answered."""

FORGET = """Take one person out of everything that was kept of a target, and name the adapters that saw them.

Removes what they asked and were answered from the record and the server's cache, with all feedback on it and by them; with --datasets
the same from the archive, and their rows from datasets and golden sets. With --adapters too, the adapters trained on such a dataset
are named: what they learned stays in them until they are retrained or rolled back. Prints a table of counts first, and nothing of the
person. May be run again at any time: once more after a harvest that ran meanwhile, which may have sealed or written what it read before.

A dataset that lost rows has another digest: a job that names it by the old one is refused.
A user's name is hashed with the salt of the target: kubectl get configmap TARGET-adapters -o jsonpath='{.data.manifest\\.json}' >FILE.
Redis gives a removed entry to nobody any more, but its bytes go only with that day's stream, after 35 days or RECORD_RETENTION.
Caches of others that jobs import (data.imports) are not ours to change: take the person out of those first."""

IMPORT = """Make a dataset of chats in a file of OpenAI's fine-tuning format.

A line is {"messages": [{"role", "content"}, ...]}; answers with "weight": 0 are read and not learned. The lines go through the same
curation as recorded traffic: personal data out, duplicates, domains (by content, unless --domain says it), split. Ends with what a
FineTuneJob needs to train exactly this: data.datasetRef. The same file is the same dataset."""

EXPORT = """Write a dataset as OpenAI's fine-tuning format, to stdout: {"messages": [...]}, "weight": 0 where an answer is only read.

A row's own weight has no place in that format and is left out. (TRL needs no export: it reads training_data.jsonl as it is.)"""

REDIS_HELP = f"redis://[user[:password]@]host[:port][/number]; better in the environment as {REDIS_URL_ENV}, where no other user sees it"


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="tuneloop_trainer", description="Recorded traffic in, LoRA adapters out.", epilog=EXIT_CODES)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    _add(commands, "harvest", "collect a dataset (in a pod)", HARVEST)
    _add(commands, "train", "train on a dataset (in a pod)", TRAIN)
    _add_run(_add(commands, "run", "harvest and train, without Kubernetes", RUN))
    inspect = _add(commands, "inspect", "show what a Redis holds", INSPECT)
    _add_redis(inspect)
    inspect.add_argument("--target", metavar="NS/NAME", default="", help="only this one (default: every target)")
    inspect.add_argument("--json", action="store_true", help="JSON instead of a table")
    _add(commands, "redact", "take personal data out of JSON lines", REDACT)
    classify = _add(commands, "classify", "say which domain texts of JSON lines belong to", CLASSIFY)
    given = "YAML or JSON as in a target's spec.domains (default: technical, support, legal, general)"
    classify.add_argument("--domains", metavar="FILE", default="", help=given)
    _add_forget(_add(commands, "forget", "take one person out of what was kept", FORGET))
    _add_chat_files(_add(commands, "import", "make a dataset of a file of chats", IMPORT), _add(commands, "export", "write one", EXPORT))
    return whole


def _add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=summary, description=text, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _add_redis(command: argparse.ArgumentParser) -> None:
    command.add_argument("--redis", metavar="URL", help=REDIS_HELP)
    modes = [mode.value for mode in RedisMode]
    command.add_argument("--redis-mode", choices=modes, default=RedisMode.STANDALONE.value, help="how it is deployed (default: Standalone)")


def _add_run(run: argparse.ArgumentParser) -> None:
    _add_redis(run)
    run.add_argument("--target", metavar="NS/NAME", required=True, help="whose traffic; `inspect` lists them")
    run.add_argument("--base-model", metavar="DIR-OR-URI", required=True, help="the base model, as safetensors: a folder, hf:// or s3://")
    run.add_argument("--out", metavar="DIR", required=True, help="datasets/ and adapters/ are written below it")
    run.add_argument("--domains", metavar="NAME", nargs="*", default=[], help="only these (default: technical, support, legal, general)")
    run.add_argument("--tenants", metavar="NAME", nargs="*", default=[], help="whose records; needed if there are several tenants")
    run.add_argument("--window-days", metavar="N", type=_days, default=30, help="days back from now (default: 30)")
    run.add_argument("--min-examples", metavar="N", type=_count, default=50, help="examples that a domain needs (default: 50)")
    run.add_argument("--epochs", metavar="N", type=_count, default=3, help="(default: 3)")
    run.add_argument("--learning-rate", metavar="X", type=float, default=1e-4, help="(default: 1e-4)")
    run.add_argument("--rank", metavar="N", type=int, default=16, help="of the adapters (default: 16)")
    run.add_argument("--alpha", metavar="N", type=int, default=32, help="of the adapters (default: 32)")
    run.add_argument("--max-sequence-length", metavar="N", type=int, default=2048, help="tokens of a row (default: 2048)")
    run.add_argument("--tokens-per-step", metavar="N", type=int, default=8192, help="tokens of an optimizer step (default: 8192)")
    run.add_argument("--held-out", metavar="X", type=float, default=0.1, help="share that is kept for judging (default: 0.1)")
    run.add_argument("--min-held-out", metavar="N", type=int, default=20, help="but at least this many rows (default: 20)")
    run.add_argument("--seed", metavar="N", type=int, default=0, help="(default: 0)")


def _days(text: str) -> float:
    """Raises ValueError, which argparse tells with the option's name; also for `nan`."""
    days = float(text)
    if not 0 < days <= LONGEST_WINDOW:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {LONGEST_WINDOW}")
    return days


def _count(text: str) -> int:
    """Raises ValueError, which argparse tells with the option's name."""
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return count


def _add_forget(forget: argparse.ArgumentParser) -> None:
    forget.add_argument("--user", metavar="NAME-OR-HASH", required=True, help="what clients send as `user`, or its hash as in the record")
    forget.add_argument("--target", metavar="NS/NAME", required=True, help="whose record; `inspect` lists them")
    _add_redis(forget)
    forget.add_argument("--cache-redis", metavar="URL", help="where the server has another Redis for its cache (default: the same)")
    forget.add_argument("--datasets", metavar="URI", default="", help="the target's datasets store: file:///, pvc:// or s3://")
    forget.add_argument("--adapters", metavar="URI", default="", help="the target's adapters store")
    forget.add_argument("--manifest", metavar="FILE", default="", help="the target's adapter manifest, for its salt; needed for a name")
    forget.add_argument("--tenant", metavar="NAME", default=DEFAULT_TENANT, help=f"of the name (default: {DEFAULT_TENANT})")
    forget.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def _add_chat_files(into: argparse.ArgumentParser, out_of: argparse.ArgumentParser) -> None:
    for either in (into, out_of):
        either.add_argument("--format", choices=["openai"], default="openai", help="(default: openai)")
    into.add_argument("--file", metavar="PATH", required=True, help="a local file, or a URI in a store")
    into.add_argument("--datasets", metavar="URI", required=True, help="the target's datasets store: file:///, pvc:// or s3://")
    into.add_argument("--target", metavar="NS/NAME", required=True, help="whose adapters it is for")
    into.add_argument("--domain", metavar="NAME", default="", help="of all lines (default: by content, of the default domains)")
    into.add_argument("--min-examples", metavar="N", type=_count, default=50, help="examples that a domain needs (default: 50)")
    out_of.add_argument("--dataset", metavar="URI", required=True, help="a dataset: status.dataset.uri of a job")
    out_of.add_argument("--part", choices=["train", "held-out"], default="train", help="(default: train)")
