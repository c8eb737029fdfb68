"""Become a server that ends with the test run: tie the process to its parent, then be the command.

Called as `leash.py PARENT USER COMMAND…`. USER is the number of the user to become before, or empty: some servers refuse
to be root.

A step of its own because code between fork and exec may hang in a process with threads, which a test run with gRPC is.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From Linux's prctl(2): the signal that this process gets when the thread that made it ends."""


def main(parent: int, user: str, command: list[str]) -> None:
    """Replace this process by the command; on Linux the kernel kills it when the parent dies, however it dies."""
    if user:  # first: whoever becomes another user loses the signal asked for below
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # else it died before the leash was on
        os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
