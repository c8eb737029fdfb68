"""Images: how large they are, and thumbnails of them. Nothing about an image ever fails more than its thumbnail.

An image comes from strangers: four formats are decoded, its pixels are counted before they are, and one is decoded at a time.
"""

import threading
import warnings
from io import BytesIO
from typing import IO, Final

from PIL import Image, ImageOps

from media.jpegs import FORMATS, SCANS, comes_in_layers, has_too_many_scans
from storage.errors import BackendUnavailable

TYPES: Final = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
_FORMATS: Final = ("GIF", "JPEG", "PNG", "WEBP")
SOURCE_BYTES: Final = 32 * 1024 * 1024
"""A larger file gets no thumbnail."""
PIXELS: Final = 24_000_000
"""What is decoded at most: about 150 MB, one image at a time. A JPEG of one scan is decoded at an eighth of its size already."""
SIDE: Final = 320
"""Pixels of a thumbnail's longer side: sharp at 160 on a fine screen."""
THUMBNAIL_TYPE: Final = "image/webp"
THUMBNAIL_BYTES: Final = 200 * 1024
"""Beside its row's other fields it must fit a document; at this size and quality a tenth is usual."""
WAIT_SECONDS: Final = 20.0

Size = tuple[int, int]

_UNREADABLE: Final = (
    OSError,  # Pillow's own errors are OSError and ValueError; the others come out of its decoders
    ValueError,
    SyntaxError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    MemoryError,
    Image.DecompressionBombError,
)
_decoding: Final = threading.Lock()
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # pixels are counted here, before any is decoded


class NoThumbnailError(Exception):
    """Of these bytes there is no thumbnail to make; the text says why."""


def size_of(head: bytes, media_type: str) -> Size | None:
    """Return width and height in pixels by how an image begins, None where that does not tell. Decodes nothing."""
    if media_type not in TYPES:
        return None
    try:
        with _opened(BytesIO(head)) as image:
            return image.size
    except _UNREADABLE:
        return None


def draw_thumbnail(source: IO[bytes]) -> tuple[bytes, Size]:
    """Return a WebP image of at most 320 pixels a side, upright and without metadata, and the size of the source.

    Raises NoThumbnailError, or BackendUnavailable when others have kept the decoder busy for 20 seconds.
    """
    if not _decoding.acquire(timeout=WAIT_SECONDS):
        raise BackendUnavailable("Too many images wait for their thumbnails.")
    try:
        with _opened(source) as image:
            return _drawn(image, source), image.size
    except Image.DecompressionBombError:
        raise NoThumbnailError("The image says that it has more pixels than are ever decoded.") from None
    except _UNREADABLE as error:
        raise NoThumbnailError(f"The bytes are no image that can be read ({type(error).__name__}).") from None
    finally:
        _decoding.release()


def _opened(source: IO[bytes]) -> Image.Image:
    return Image.open(source, formats=_FORMATS)


def _drawn(image: Image.Image, source: IO[bytes]) -> bytes:
    _check_cost(image, source)
    image.thumbnail((SIDE, SIDE))
    upright = ImageOps.exif_transpose(image)
    plain = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    drawn = BytesIO()
    plain.save(drawn, "WEBP", quality=80, exif=b"", icc_profile=b"")
    if drawn.tell() > THUMBNAIL_BYTES:
        raise NoThumbnailError("The thumbnail would be too large to keep.")
    return drawn.getvalue()


def _check_cost(image: Image.Image, source: IO[bytes]) -> None:
    width, height = image.size
    decoded = width * height
    if image.format in FORMATS:
        if has_too_many_scans(source):
            raise NoThumbnailError(f"The image has more than {SCANS} scans.")
        if not (image.info.get("progressive") or comes_in_layers(source, len(image.getbands()))):
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # its decoder leaves out what a thumbnail does not need
            decoded = image.size[0] * image.size[1]
    if decoded > PIXELS:
        raise NoThumbnailError(f"The image has {width} by {height} pixels; {PIXELS} in all are decoded.")
