"""OpenAI's text completions on the wire: answers. Pure.

data: {"choices": [{"text": "Hello", "finish_reason": null}]}      one for each piece with text
data: {"choices": [{"text": "", "finish_reason": "stop"}]}
data: {"choices": [], "usage": {...}}                              if the client asked for it; those before then have `"usage": null`
data: [DONE]
"""

from tuneloop_server.chat.wire import Envelope


class TextEnvelope(Envelope):
    part = "text_completion"
    template = (
        b'{"id":%b,"object":"text_completion","created":%d,"model":%b,"choices":[{"index":0,"text":%b,'
        b'"logprobs":null,"finish_reason":%b}],"usage":%b}'
    )

    def opening(self) -> bytes:
        return b""

    def text(self, text: str) -> bytes:
        return self._choice(text)

    def end(self, finish: str) -> bytes:
        return self._choice("", finish)

    def _choice(self, text: str, finish: str | None = None) -> bytes:
        return self.choice(text=text, logprobs=None, finish_reason=finish)
