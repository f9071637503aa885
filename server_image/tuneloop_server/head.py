"""What a connection may bring before anybody is asked for a key. uvicorn's parser keeps a head, or what comes after a body in chunks, of
any length; waits for a head for ever; takes what comes after a body for headers; and says in plain text what is wrong with a request."""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tuneloop_server.errors import ApiError, BadRequest, RequestTimeout

LIMIT = 2**16
"""Bytes, as in uvicorn's other parser; more than any proxy lets through. What comes with one reading of the socket is not counted."""


class BoundedHead(HttpToolsProtocol):
    """A connection that is closed when its request does not come to its body, or past it; within the time that it may be idle."""

    _open = False
    """In the midst of a head."""
    _advanced = False
    """What was read last began or ended a head, or was of a body."""
    _size = 0
    """What has come since something did."""
    _timer: TimerHandle | None = None
    """Until a head must be there."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._advanced = False
        super().data_received(data)
        self._size = 0 if self._advanced else self._size + len(data)
        if self.transport.is_closing():
            return
        if self._size > LIMIT:
            self._refuse(BadRequest(f"The head of a request, and what follows its body, may have {LIMIT} bytes."))
        elif self._open:
            self._await_head()

    def on_message_begin(self) -> None:
        self._open = self._advanced = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """What comes after a body in chunks is passed over: RFC 9110, section 6.5.1."""
        if self._open:
            super().on_header(name, value)

    def on_headers_complete(self) -> Any:
        self._open, self._advanced = False, True
        self._stop_waiting()
        return super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._advanced = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest(msg))

    def _refuse(self, error: ApiError) -> None:
        """OpenAI's body, as routes answer; not in the midst of another answer."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self._write(error)
        self.transport.close()

    def _write(self, error: ApiError) -> None:
        answer = error.response()
        headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[error.status], lines, bytes(answer.body)))

    def _await_head(self) -> None:
        self._timer = self._timer or self.loop.call_later(self.timeout_keep_alive, self._too_late)

    def _stop_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        if self._open:
            return self._refuse(RequestTimeout(f"The head of the request did not come within {self.timeout_keep_alive} s."))
        self.transport.close()
