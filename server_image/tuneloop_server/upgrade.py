"""A client that offers another protocol is answered in this one, as RFC 9110 (section 7.8) has it.

Java's HttpClient offers HTTP/2 with every request in clear text. uvicorn declines, but its parser takes what comes next for the other
protocol: the body is lost (https://github.com/Kludex/uvicorn/issues/2722).
"""

import sys

from httptools import HttpParserUpgrade, HttpRequestParser

from tuneloop_server.head import BoundedHead

FRAMING = (b"content-length", b"transfer-encoding")


class NoUpgrade(BoundedHead):
    """After a head with an offer the body, and all that follows it, are read by a new parser, which is told only how long the body is."""

    _given = _left = b""
    """What is being read, and what the old parser has left of it."""

    def data_received(self, data: bytes) -> None:
        while data:
            self._given, self._left = data, b""
            super().data_received(data)
            data = self._left

    def _unsupported_upgrade_warning(self) -> None:
        """What uvicorn calls instead of an upgrade, before the request begins to be answered."""
        match sys.exception():
            case HttpParserUpgrade(args=(place, *_)):
                self._left = self._given[place:]
        self.parser = HttpRequestParser(_SkipFirstHead(self))
        self.cycle.more_body = True  # until the new parser says otherwise, which it does at once where there is none
        framing = [name + b": " + value + b"\r\n" for name, value in self.headers if name in FRAMING]
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")


class _SkipFirstHead:
    """Hands on what a parser tells, but for the head of its first message: that is known."""

    def __init__(self, protocol: NoUpgrade) -> None:
        self._protocol = protocol
        self._messages = 0
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete

    def on_message_begin(self) -> None:
        self._messages += 1
        if self._messages > 1:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._messages > 1:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._messages > 1:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._messages > 1:
            self._protocol.on_headers_complete()
