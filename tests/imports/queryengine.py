"""A stand-in for Redis' query engine and JSON, in front of a real redis-server.

The libraries whose caches are imported refuse a Redis without the two modules. This answers their FT.* and JSON.* commands, as far as
writing takes, and passes everything else on byte by byte: hashes, lists and strings are written by the real server. A JSON document
is kept as a string, and is said to be of the type that the module gives it. No search is ever run.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from ports import free_port

Command = list[bytes]
MODULES = b"*2\r\n" + b"".join(
    b"*4\r\n$4\r\nname\r\n$%d\r\n%b\r\n$3\r\nver\r\n:80001\r\n" % (len(name), name) for name in (b"search", b"ReJSON")
)


@dataclass
class QueryEngine:
    upstream: int
    """Port of the real server."""
    port: int = field(default_factory=free_port)
    documents: set[bytes] = field(default_factory=set)
    """Keys that hold JSON."""
    seen: list[bytes] = field(default_factory=list)
    """Every command's name, in order."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # closed: the test is over
            threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.upstream)) as server:
            from_client, from_server = client.makefile("rb"), server.makefile("rb")
            while command := read_command(from_client):
                self.seen.append(command[0].upper())
                own = OWN.get(command[0].upper())
                if own is None:
                    client.sendall(ask(server, from_server, command))
                else:
                    client.sendall(own(self, command, lambda *words: ask(server, from_server, list(words))))


Ask = Callable[..., bytes]


def _set_document(engine: QueryEngine, command: Command, ask: Ask) -> bytes:
    """JSON.SET key $ value: only whole documents are written by those whose caches are imported."""
    assert command[2] in (b"$", b"."), command[2]
    engine.documents.add(command[1])
    return ask(b"SET", command[1], command[3])


def _get_document(engine: QueryEngine, command: Command, ask: Ask) -> bytes:
    return ask(b"GET", command[1])


def _type(engine: QueryEngine, command: Command, ask: Ask) -> bytes:
    answer = ask(*command)
    return b"+ReJSON-RL\r\n" if command[1] in engine.documents and answer == b"+string\r\n" else answer


def _about_commands(engine: QueryEngine, command: Command, ask: Ask) -> bytes:
    """COMMAND INFO of the modules' commands: redis-om only looks whether they exist."""
    return ask(*command[:2], *(b"SET" if b"." in name else name for name in command[2:]))


def _always(answer: bytes) -> Callable[[QueryEngine, Command, Ask], bytes]:
    return lambda engine, command, ask: answer


OWN: dict[bytes, Callable[[QueryEngine, Command, Ask], bytes]] = {
    b"JSON.SET": _set_document,
    b"JSON.GET": _get_document,
    b"TYPE": _type,
    b"COMMAND": _about_commands,
    b"MODULE": _always(MODULES),
    b"FT._LIST": _always(b"*0\r\n"),
    b"FT.INFO": _always(b"-Unknown index name\r\n"),
    b"FT.CREATE": _always(b"+OK\r\n"),
    b"FT.DROPINDEX": _always(b"+OK\r\n"),
}


@contextmanager
def query_engine(upstream: int) -> Iterator[QueryEngine]:
    engine = QueryEngine(upstream)
    with socket.create_server(("127.0.0.1", engine.port)) as listener:
        thread = threading.Thread(target=engine.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield engine
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def ask(server: socket.socket, answers: BinaryIO, command: Command) -> bytes:
    server.sendall(b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in command))
    return read_reply(answers)


def read_command(stream: BinaryIO) -> Command:
    """An empty one at the end."""
    head = stream.readline()
    return [stream.read(int(stream.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))] if head else []


def read_reply(stream: BinaryIO) -> bytes:
    """One whole reply of RESP2 or RESP3, as it came."""
    head = stream.readline()
    kind, rest = head[:1], head[1:-2]
    if kind in b"$=!" and rest != b"-1":
        return head + stream.read(int(rest) + 2)
    if kind in b"*~>%|" and rest != b"-1":
        return head + b"".join(read_reply(stream) for _ in range(int(rest) * (2 if kind in b"%|" else 1)))
    return head
