"""Signals that end a command (Ctrl-C, SIGTERM, SIGHUP) end it in an orderly way, and soon."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 5.0  # for what has to be cleaned up; everything else is safe at any moment


@contextlib.contextmanager
def interruptible(say: Callable[[], None]) -> Iterator[None]:
    """Turn the first of these signals into a KeyboardInterrupt with its number; ignore those that follow.

    A signal that is ignored from the beginning, as with nohup, stays so. Python acts on a signal only between two of
    its own steps. A long call into a library may come before that, or a finalizer may lose the exception. Then, after
    PATIENCE_S seconds, `say` is called and the process ends with 128 + the signal's number.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    former = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number, handler in former.items() if handler not in (signal.SIG_IGN, None)]
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reader, ended, say), daemon=True)
    watch.start()
    for number in taken:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(wakeup)
        for number in taken:
            if signal.getsignal(number) is _interrupt:  # else the command was interrupted, and is about to end
                signal.signal(number, former[number])
        os.close(writer)
        watch.join()
        os.close(reader)


def exit_status(error: KeyboardInterrupt) -> int:
    """Return 128 + the number of the signal, as shells have it."""
    return 128 + int(error.args[0] if error.args else signal.SIGINT)


def _interrupt(number: int, frame: object) -> None:
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def _watch(reader: int, ended: threading.Event, say: Callable[[], None]) -> None:
    """Wait for the first signal or the end of the command; end the process if the command does not end."""
    number = os.read(reader, 1)
    if number and not ended.wait(PATIENCE_S):
        say()
        os._exit(128 + number[0])
