"""Become a server that ends with the test run: `leash.py PARENT COMMAND…` ties the process to its parent, then is the command.

A step of its own because code between fork and exec may hang in a process with threads, which a test run with gRPC is.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From Linux's prctl(2): the signal that this process gets when the thread that made it ends."""


def main(parent: int, command: list[str]) -> None:
    """Replace this process by the command; on Linux the kernel kills it when the parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # else it died before the leash was on
        os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
