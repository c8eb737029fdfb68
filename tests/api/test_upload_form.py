"""Forms read while they arrive: however they are cut, their bytes are the same, and none that is cut short passes for whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.errors import InvalidRequest
from storage.api.upload_form import FIELD_BYTES, FIELDS, read_form

TYPE = "multipart/form-data; boundary=edge"
FILE = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: text/x-a\r\n\r\n'


def field(name, value):
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"


def read(body, size=7, content_type=TYPE):
    found = read_form(content_type, (body[at : at + size] for at in range(0, len(body), size)))
    return found.fields, found.file_type, b"".join(found.chunks)


@given(
    st.lists(st.sampled_from([b"x", b"\r", b"\n", b"-", b"--edge", b"\r\n--edg", b"\r\n", b"\0", b"\xff"])).map(
        b"".join
    ),
    st.integers(1, 40),
)
def test_any_bytes_come_out_as_they_went_in_however_they_are_cut(data, size):
    if b"\r\n--edge" in b"\r\n" + data:
        return
    body = field("Note", b"caf\xc3\xa9") + FILE + data + b"\r\n--edge--\r\nepilogue"
    assert read(body, size) == ({"note": "caf\u00e9"}, "text/x-a", data)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_form_cut_short_anywhere_is_no_form(size):
    body = field("a", b"1") + FILE + b"data\r\n--edge"
    for end in range(len(body)):
        with pytest.raises(InvalidRequest):
            read(body[:end], size)


def test_what_stands_before_the_first_boundary_is_passed_over():
    assert read(b"preamble\r\n" + FILE + b"data\r\n--edge--")[2] == b"data"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=edge",
        "multipart/form-data; boundary*=none''edge",
    ],
)
def test_what_is_no_form_is_refused(content_type):
    with pytest.raises(InvalidRequest, match="form"):
        read(FILE + b"\r\n--edge--", content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"--edge--",
        field("a", b"1") + b"--edge--",
        b"--edge\r\n\r\nvalue\r\n--edge--",
        b"--edge\r\nContent-Disposition: form-data; name*=none''a\r\n\r\nvalue\r\n--edge--",
        field("a", b"\xff") + FILE + b"\r\n--edge--",
        field("a", b"x" * (FIELD_BYTES + 100)) + FILE + b"\r\n--edge--",
        b"".join(field(f"f{number}", b"") for number in range(FIELDS + 1)) + FILE + b"\r\n--edge--",
    ],
)
def test_a_form_without_a_file_or_with_too_much_before_it_is_refused(body):
    with pytest.raises(InvalidRequest):
        read(body)
