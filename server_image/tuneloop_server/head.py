"""How long the head of a request may be. uvicorn's parser keeps one of any length in memory, before anybody is asked for a key."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT = 2**16
"""Bytes, as in uvicorn's other parser; more than any proxy lets through. What comes with one reading of the socket is not counted."""


class BoundedHead(HttpToolsProtocol):
    """A connection that is closed with a 400 when its request does not come to its body."""

    _open = False
    """In the midst of a head."""
    _size = 0
    """What has come of it."""

    def data_received(self, data: bytes) -> None:
        went_on = self._open
        super().data_received(data)
        if went_on and self._open:
            self._size += len(data)
            if self._size > LIMIT and not self.transport.is_closing():
                self.send_400_response(f"The head of a request may have {LIMIT} bytes.")

    def on_message_begin(self) -> None:
        self._open, self._size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> Any:
        self._open = False
        return super().on_headers_complete()
