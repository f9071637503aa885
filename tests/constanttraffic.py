"""Clients that ask all the while a test changes what is served."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serverprocess import ServerProcess


@contextmanager
def traffic(server: ServerProcess, question: str, *models: str) -> Iterator[Callable[[], list[tuple[int, str]]]]:
    """One client a model, each asking again as soon as it is answered; gives (status, X-Adapter) of all so far."""
    stop = threading.Event()
    seen: list[tuple[int, str]] = []

    def ask(model: str) -> None:
        while not stop.is_set():
            answer = server.ask(model, question, temperature=0.7, max_tokens=4)
            seen.append((answer.status_code, answer.headers.get("X-Adapter", answer.text)))

    clients = [threading.Thread(target=ask, args=(model,)) for model in models]
    for client in clients:
        client.start()
    try:
        yield lambda: list(seen)
    finally:
        stop.set()
        for client in clients:
            client.join()
