"""The WSGI application of production, in a worker that dies with the server that started it, however that dies."""

import ctypes
import signal
import sys

from northstar.wsgi import application

__all__ = ["application"]

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
