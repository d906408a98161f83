"""What is learned of an answer while it passes by: counts and one word, found in its bytes, and never its text.

In JSON a quotation mark inside of a text is escaped, so `"usage":{` and `"finish_reason":"` are keys wherever they
stand: no parser is needed, and what a model writes can not be mistaken for them.
"""

import re
from typing import Final

from vllm_platform_middleware.record import finish_reason

_USAGE: Final = b'"usage":{'
_FINISH: Final = b'"finish_reason":"'
_EVENT: Final = b"data: {"
_EVENT_END: Final = b"\n\n"
_TOKENS: Final = re.compile(rb'"(prompt|completion|input|output)_tokens":(\d{1,12})')
_WORD: Final = re.compile(rb"[a-z_]{1,32}")
# What may be cut by the border of two pieces: a whole usage object, with details.
_KEPT: Final = 1024
_KINDS: Final = {
    b"prompt": "prompt",
    b"input": "prompt",
    b"completion": "completion",
    b"output": "completion",
}


class AnswerWatch:
    """Looks at the pieces of one answer, in order. `stream`: it is one of server-sent events."""

    def __init__(self, *, stream: bool) -> None:
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.finish_reason: str | None = None
        self.events = 0
        self.stream = stream
        self._tail = b""

    def see(self, piece: bytes) -> None:
        """Look at the next piece."""
        if self.stream:
            self.events += piece.count(_EVENT)
        seen = self._tail + piece
        usage = seen.rfind(_USAGE)
        if usage >= 0:
            self._read_usage(seen[usage:])
        finish = seen.rfind(_FINISH)
        if finish >= 0:
            word = _WORD.match(seen, finish + len(_FINISH))
            if word is not None:
                self.finish_reason = finish_reason(word[0].decode())
        # Nothing goes on beyond the end of an event: most pieces are searched once, and without a copy.
        self._tail = b"" if self.stream and piece.endswith(_EVENT_END) else seen[-_KEPT:]

    def _read_usage(self, text: bytes) -> None:
        for kind, number in _TOKENS.findall(text):
            if _KINDS[kind] == "prompt":
                self.prompt_tokens = int(number)
            else:
                self.completion_tokens = int(number)
