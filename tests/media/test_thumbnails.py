"""Thumbnails: small, upright and harmless, made at the first view; and whatever an image is, its upload succeeds."""

import re
import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from media import pictures
from media.rows import MediaRows
from tests.media.conftest import rows, stored
from tests.media.pictures import png


def thumbnail(api, media):
    return api.get(f"media/{media['media_id']}/thumbnail")


def picture(kind, size=(1600, 1200), mode="RGB", **options):
    drawn = BytesIO()
    Image.new(mode, size).save(drawn, kind, **options)
    return drawn.getvalue()


def bomb(width=60_000, height=60_000):
    """A PNG that says it has so many pixels, in a few bytes."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )


def jpeg(size=(4800, 2), *, more_scans=0, layered=False, progressive=False):
    """A grey or, where it is layered, a coloured JPEG that says it is 5,200 pixels high. Its last scan may come many times."""
    drawn = BytesIO()
    Image.new("YCbCr" if layered else "L", size).save(drawn, "JPEG", progressive=progressive, quality=10)
    start, scan, rest = drawn.getvalue().rpartition(b"\xff\xda")
    if layered:
        rest = b"\x00\x06\x01" + rest[3:5] + rest[9:]
    high = re.sub(rb"(\xff[\xc0\xc2]...)..", rb"\g<1>" + struct.pack(">H", 5200), start, count=1, flags=re.DOTALL)
    return high + (scan + rest[:-2]) * (1 + more_scans) + rest[-2:]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_thumbnail_is_a_small_webp_that_is_made_once(acme_api, blob_calls, kind):
    media = stored(acme_api, picture(kind, mode="P" if kind == "GIF" else "RGB"))
    assert (media["width"], media["height"]) == (1600, 1200)
    first = thumbnail(acme_api, media)
    assert (first.status_code, first["Content-Type"]) == (200, "image/webp")
    with Image.open(BytesIO(first.content)) as drawn:
        assert drawn.size == (320, 240)
    blob_calls.clear()
    assert thumbnail(acme_api, media).content == first.content
    assert blob_calls == []


def test_it_stands_upright_and_tells_nothing_of_where_it_was_taken(acme_api):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "at home"
    drawn = BytesIO()
    Image.new("RGB", (400, 200)).save(drawn, "JPEG", exif=exif)
    content = thumbnail(acme_api, stored(acme_api, drawn.getvalue())).content
    with Image.open(BytesIO(content)) as upright:
        assert upright.size == (160, 320)
    assert b"at home" not in content


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (bomb(), "more pixels than are ever decoded"),
        (bomb(9000, 9000), "9000 by 9000 pixels"),
        (jpeg(progressive=True), "4800 by 5200 pixels"),
        (jpeg(layered=True), "4800 by 5200 pixels"),
        (jpeg(more_scans=100, progressive=True), "more than 64 scans"),
        (png()[:60], "no image that can be read"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "no image that can be read"),
        (b"just text", "it is no image"),
        (b"", "it is no image"),
    ],
    ids=[
        "a bomb",
        "a large one",
        "all of it kept",
        "one layer at a time",
        "decoded for hours",
        "half of one",
        "only a head",
        "text",
        "nothing",
    ],
)
def test_an_image_that_cannot_be_drawn_is_stored_all_the_same(acme_api, data, why):
    media = stored(acme_api, data)
    for _ in range(2):
        answer = thumbnail(acme_api, media)
        assert (answer.status_code, why in answer.json()["detail"]) == (404, True), answer.content
    assert acme_api.get(f"media/{media['media_id']}/content").getvalue() == data


def test_a_deleted_media_output_does_not_come_back_by_its_thumbnail(acme_api, monkeypatch):
    media = stored(acme_api, png())
    draw = pictures.draw_thumbnail

    def deleting(source):
        acme_api.delete(f"media/{media['media_id']}")
        return draw(source)

    monkeypatch.setattr("media.reading.draw_thumbnail", deleting)
    assert thumbnail(acme_api, media).status_code == 200
    assert rows() == {}


def test_a_thumbnail_that_is_drawn_meanwhile_does_not_stop_a_deletion(acme_api, monkeypatch):
    media = stored(acme_api, png())
    withdraw = MediaRows.withdraw

    def late(self, row, intent):
        thumbnail(acme_api, media)
        return withdraw(self, row, intent)

    monkeypatch.setattr(MediaRows, "withdraw", late)
    assert acme_api.delete(f"media/{media['media_id']}").status_code == 204
    assert rows() == {}
