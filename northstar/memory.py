"""Memory of the C library: what a large block took is given back when it is freed, in whichever thread that was."""

import ctypes
from typing import Final

LARGE_BYTES: Final = 2 * 1024 * 1024
"""Above the 1 MiB in which bytes flow through, below the parts that drivers of objects send."""
_M_MMAP_THRESHOLD: Final = -3
"""From malloc.h of glibc."""


def give_large_blocks_back() -> None:
    """Have blocks above 2 MiB mapped and unmapped one by one; where the C library is not glibc nothing changes.

    Else glibc raises that bound to 32 MiB as soon as such a block is freed, and keeps what each thread then frees for the same
    thread. Measured with 256 MiB through a server of 32 threads: 51 MiB more memory with S3, 39 with this, 57 and 31 with Azure.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
