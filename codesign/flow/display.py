"""The progress of long work: one live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from typing import TextIO

WIDTH = 24  # of the bar
REFRESH_S = 0.1
PATIENCE_S = 2.0  # before a bar appears
PLAIN_S = 10.0  # between plain lines


class Display:
    """A Progress that shows itself on a stream.

    On a terminal a bar with the time left appears once a stage has taken two seconds, and one line remains of each
    stage. Elsewhere a line is written when a stage begins, at most every ten seconds, and when it ends.
    """

    def __init__(self, stream: TextIO, *, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._live, self._clock = stream, live, clock
        self._stage = self._ended = ""
        self._begun = self._shown = 0.0
        self._first = 0
        self._is_open = False

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Take note of how far the stage is, and show it if it is time to."""
        if stage == self._ended and done >= total:
            return
        now = self._clock()
        if stage != self._stage:
            self._begin(stage, done, now)
        if done >= total:
            self._end(now, note)
        elif self._live:
            if now - self._shown >= REFRESH_S and (now - self._begun >= PATIENCE_S or total == 1):
                self._draw(self._line(done, total, note, now))
                self._shown = now
        elif now - self._shown >= PLAIN_S:
            self._write(self._line(done, total, note, now))
            self._shown = now

    def close(self) -> None:
        """Leave the terminal's line as it is, and go to the next."""
        if self._is_open:
            self._stream.write("\n")
            self._stream.flush()
            self._is_open = False

    def _begin(self, stage: str, done: int, now: float) -> None:
        self.close()
        self._stage, self._ended, self._begun, self._first = stage, "", now, done
        self._shown = now if not self._live else now - REFRESH_S
        if not self._live:
            self._write(f"{stage} ...")

    def _end(self, now: float, note: str) -> None:
        line = f"{self._stage}: {spent(now - self._begun)}" + (f", {note}" if note else "")
        if self._live:
            self._draw(line)
            self.close()
        else:
            self._write(line)
        self._stage, self._ended = "", self._stage

    def _line(self, done: int, total: int, note: str, now: float) -> str:
        tail = f"  {note}" if note else ""
        if total == 1:
            return f"{self._stage} ...{tail}"
        left = ""
        if done > self._first:
            left = f", {spent((now - self._begun) * (total - done) / (done - self._first))} left"
        share = done / total
        bar = f"[{'#' * int(share * WIDTH):<{WIDTH}}] " if self._live else ""
        return f"{self._stage} {bar}{share:4.0%}{left}{tail}"

    def _draw(self, line: str) -> None:
        self._stream.write(f"\r\x1b[2K{line}")
        self._stream.flush()
        self._is_open = True

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def spent(seconds: float) -> str:
    """Return a duration as a person reads it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
