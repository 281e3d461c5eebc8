"""A separate program, run by sim.tool: starts a tool, and ends all of it when codesign ends, in whatever way.

It leads a process group that holds the tool and all that the tool starts. codesign keeps one end of a socket. When
codesign dies, even by `kill -9`, the system closes that end, and the guard kills the group.

Arguments: the number of the socket's file descriptor, then the tool's command. It sends a line when the tool has ended.
The line is `status N`, negative N being a signal, or `error N`, the errno with which the tool did not start.
"""

import os
import select
import signal
import socket
import subprocess
import sys

CHECK_S = 0.5  # between checks of the tool, in case the message of its end is lost


def main(arguments: list[str]) -> None:
    """Run the tool; report how it ended; then wait to be killed with what the tool left behind."""
    link = socket.socket(fileno=int(arguments[0]))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, lambda *_: None)  # codesign decides; a handler, unlike SIG_IGN, is not inherited
    try:
        tool = subprocess.Popen(arguments[1:])
    except OSError as error:
        report = f"error {error.errno}"
    else:
        while tool.poll() is None:
            ready, _, _ = select.select([link.fileno(), reader], [], [], CHECK_S)
            if reader in ready:
                os.read(reader, 4096)
            if link.fileno() in ready:
                os.killpg(0, signal.SIGKILL)
        report = f"status {tool.returncode}"
    try:
        link.sendall(report.encode())
        link.recv(1)  # nothing ever comes: it returns when codesign is gone
    finally:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
