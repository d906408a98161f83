"""Whether the server was told to end. It answers /health with 200 until its port closes, so somebody else has to say it."""

import signal
import threading
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class Draining:
    """Notices the signal beside the server, whose own handler stays."""

    def __init__(self) -> None:
        self.begun = False

    def watch(self) -> None:
        """Begin to look. To be called once the server's own handlers stand.

        Event loops (asyncio's and uvloop's) take signals from a file descriptor that Python's C handler writes to,
        and put a Python handler that does nothing beside it: that one is replaced, and the loop hears of all as before.
        """
        if threading.current_thread() is not threading.main_thread():
            # Python handles signals in the main thread only; a server elsewhere has no handler of its own either.
            return
        for number in _ENDING:
            before = signal.getsignal(number)

            def begin(
                received: int, frame: FrameType | None, before: signal.Handlers | object = before
            ) -> None:
                self.begun = True
                if callable(before):
                    before(received, frame)

            signal.signal(number, begin)
            # Else a system call that the signal meets fails in threads that do not expect it.
            signal.siginterrupt(number, False)  # noqa: FBT003 - the function takes it so
