"""Recorded traffic in, judged adapters out: harvest on a CPU without torch, then train.

    __main__     the commands: harvest, train, run (both, without Kubernetes), inspect, redact, classify, forget, import, export
    commands     what they take, and say of themselves
    config       the two documents that the operator hands over, checked whole
    errors       what went wrong, by what happens next
    store        folders of results, to and from the artifact stores
    stopping     SIGTERM, and the seconds that are left
    workers      which of several processes that train together this one is
    trackers     MLflow, W&B and Trackio, where the environment asks for them
    tracking     figures on their way to those
    reporting    progress and the report, to the operator and to people
    rows         one line of a dataset
    golden       the sets that judge every adapter of a target
    folds        which fold judges a conversation of a domain that is too small to hold any out
    harvest/     Redis -> entries -> curate -> dataset in a store
    chat_files   files of OpenAI's format for chats, to a dataset and back
    openai_chat  a line of that format, both ways
    forget/      one person out of all of it again
    imports/     answers in other caches -> entries
    domains/     which domain a question is of
    curate/      pure: which entries become rows, and a counted reason for each that does not
    dataset_ref  a dataset that is only named, from its own summary
    inspection   what a Redis holds
    table        columns for the terminal
    lines        JSON lines in, JSON lines out: steps of the curation as filters
    judge/       without torch: is an adapter better than what serves, and safe to serve?
    learn/       everything that needs torch: encode, train, evaluate, publish
    run          the whole turn in one process

Law, kept by import-linter: nothing but `learn` and `run` may import torch, transformers or peft; `curate` and verdicts do no I/O.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Before numpy: its products here are small, and threads that wait for the next one spin on the core that all else needs."""
