"""Pictures to store."""

from io import BytesIO

from PIL import Image


def png(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    """A picture of one colour."""
    drawn = BytesIO()
    Image.new("RGB", (width, height), colour).save(drawn, "PNG")
    return drawn.getvalue()
