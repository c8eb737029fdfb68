"""How a JPEG comes: in one scan, or in many that each go over all of it. A small file can ask for hours, or for a gigabyte."""

from typing import IO, Final

FORMATS: Final = frozenset({"JPEG", "MPO"})
"""What Pillow calls them."""
SCANS: Final = 64
"""Cameras and editors write about ten. At 24 megapixels so many take 1.5 seconds (measured)."""
_CHUNK: Final = 1024 * 1024
_SCAN: Final = b"\xff\xda"
_MARK: Final = b"\xff"


def has_too_many_scans(source: IO[bytes]) -> bool:
    """Whether decoding would take too long. Bytes of the image itself never look like the beginning of a scan."""
    source.seek(0)
    found, last = 0, b""
    while chunk := source.read(_CHUNK):
        found += (last + chunk).count(_SCAN)
        last = chunk[-1:]
    return found > SCANS


def comes_in_layers(source: IO[bytes], components: int) -> bool:
    """Whether the first scan lacks some of the components: until all have come, a decoder keeps the whole image in memory."""
    source.seek(2)
    while True:
        marker = source.read(2)
        if marker[:1] != _MARK:  # nothing that a camera writes; taken for the costlier
            return True
        if marker == _SCAN:
            return source.read(3)[2:] < bytes([components])
        source.seek(int.from_bytes(source.read(2)) - 2, 1)
