"""Reading campaign parameters out of a URL: each with where it stands, and whatever is wrong with how it was written.

A browser repairs nothing here: parameters that were glued on with a second question mark, put behind the #, or joined by a
semicolon or &amp; are read, so that they can be judged, and each is a finding.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from analytics.contracts.findings import Finding, Rewrite, found
from analytics.contracts.parameters import UTM_FIELD_SET, click_ids

URL_CHARACTERS: Final = 16_384
"""Longer URLs are not judged: no platform or browser takes them."""

_OURS: Final = rf"(?:utm[_.-]?[a-z]|(?:{'|'.join(sorted({re.escape(name) for name in click_ids()}))})=)"
_SEPARATOR: Final = re.compile(rf"&amp;|&|;(?={_OURS})|\?(?={_OURS})", re.IGNORECASE)
_IN_FRAGMENT: Final = re.compile(rf"(?:^|[?&;/!])(?={_OURS})", re.IGNORECASE)
_UNMARKED: Final = re.compile(rf"&(?:amp;)?(?={_OURS})", re.IGNORECASE)
"""Where parameters begin in a URL that has no question mark."""
_SUFFIX: Final = re.compile(r"[A-Za-z0-9_.%-]{1,100}=")
_ESCAPED_BYTE: Final = re.compile("%[0-9A-Fa-f]{2}")
_GLUE: Final = {"?": "second_question_mark", ";": "wrong_separator", "&amp;": "wrong_separator"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `name` and `value` are decoded, `raw` is the value as written, the positions are indexes in the URL."""

    name: str
    value: str
    raw: str
    name_at: int
    value_at: int

    def at(self, index: int) -> int:
        """Return where the character with this index in the decoded value stands in the URL."""
        return self.value_at + _raw_index(self.raw, index)


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """A URL's campaign parameters in their order. `base` is what stands before them, `host` its host in lower case."""

    base: str
    host: str
    parameters: tuple[Parameter, ...]
    findings: tuple[Finding, ...]
    rewrites: tuple[Rewrite, ...]


def parse_url(url: str) -> ParsedUrl:
    """Read a URL, a URL template, or a suffix of parameters alone. It raises nothing: what is wrong becomes a finding."""
    if len(url) > URL_CHARACTERS:
        too_long = found(
            "url_too_long", "url", URL_CHARACTERS, url, f"up to {URL_CHARACTERS} characters", rule_id="parse"
        )
        return ParsedUrl("", "", (), (too_long,), ())
    text = url if url.isascii() else url.encode("utf-8", "replace").decode()
    before, _, fragment = text.partition("#")
    base, mark, query = before.partition("?")
    query_at = len(base) + 1
    if not mark and "://" not in base and _SUFFIX.match(base):
        base, query, query_at = "", base, 0
    reading = _Reading()
    if not query and (begin := _UNMARKED.search(base)):
        base, query, query_at = base[: begin.start()], base[begin.end() :], begin.end()
        reading.told("wrong_separator", "url", begin.start(), begin[0], "?")
    reading.take(query, query_at)
    if fragment and (start := _IN_FRAGMENT.search(fragment)):
        reading.take_fragment(fragment[start.end() :], len(before) + 1 + start.end())
    return ParsedUrl(base, _host(base), tuple(reading.parameters), tuple(reading.findings), tuple(reading.rewrites))


def host_of(url: str) -> str:
    """Return the host of a URL, or of a bare host, in lower case; empty where there is none."""
    return _host(url) or ("" if "/" in url.partition("?")[0].rstrip("/") else _host(f"//{url}"))


def _host(base: str) -> str:
    _, mark, rest = base.partition("//")
    if not mark:
        return ""
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2]
    return re.sub(r":\d*$", "", authority).rstrip(".").lower()


class _Reading:
    """What is gathered while the parameters are read."""

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []
        self.findings: list[Finding] = []
        self.rewrites: list[Rewrite] = []

    def take(self, query: str, at: int) -> None:
        """Read the parameters of a query that begins at this index of the URL."""
        for segment in _segments(query):
            parameter = self._parameter(segment.text, at + segment.start)
            if parameter is None:
                continue
            if code := _GLUE.get(segment.separator):
                self.told(code, parameter.name, at + segment.separator_at, segment.separator)
            self.parameters.append(parameter)

    def take_fragment(self, text: str, at: int) -> None:
        """Read parameters that stand behind the #: no server sees them there."""
        before = len(self.parameters)
        self.take(text, at)
        for parameter in self.parameters[before:]:
            self.told("utm_in_fragment", parameter.name, parameter.name_at, f"#…{parameter.name}")

    def told(self, code: str, field: str, at: int, got: str, expected: str = "&") -> None:
        """Tell of parameters that are joined wrongly."""
        self.findings.append(found(code, field.lower(), at, got, expected, rule_id="parse"))
        self.rewrites.append(Rewrite(field.lower(), code, got, expected))

    def _parameter(self, text: str, at: int) -> Parameter | None:
        """Return the parameter if it is one of ours; of the others only the separators were looked at."""
        raw_name, mark, raw = text.partition("=")
        written, _ = _decoded(raw_name)
        name = self._field(written, at)
        if name is None:
            return None
        value_at = at + len(raw_name) + len(mark)
        value, bad_byte = _decoded(raw)
        if bad_byte is not None:
            bad_at = value_at + _byte_index(raw, bad_byte)
            self.findings.append(found("invalid_utf8", name, bad_at, raw, "UTF-8", rule_id="parse"))
        if name in click_ids():  # byte for byte: a plus is a plus
            value, _ = _decoded(raw.replace("+", "%2B"))
            if not raw:
                self.findings.append(found("empty_value", name, value_at, raw, rule_id="parse"))
        elif (plus := raw.find("+")) >= 0:
            self.findings.append(
                found("ambiguous_plus", name, value_at + plus, raw, raw.replace("+", "%20"), rule_id="parse")
            )
        return Parameter(name, value, raw, at, value_at)

    def _field(self, written: str, at: int) -> str | None:
        """Return which of our fields a name means, telling how it is misspelt; None for a parameter of somebody else."""
        name = written.strip()
        if name in UTM_FIELD_SET or name in click_ids():
            field = name
        elif (field := name.lower()) in UTM_FIELD_SET or field in click_ids():
            self.findings.append(found("key_not_lowercase", field, at, name, field, rule_id="parse"))
            self.rewrites.append(Rewrite(field, "key_not_lowercase", name, field))
        elif not field.startswith("utm"):
            return None
        if name != written:
            self.findings.append(found("outer_whitespace", field, at, written, name, rule_id="parse"))
            self.rewrites.append(Rewrite(field, "outer_whitespace", written, name))
        return field


@dataclass(frozen=True, slots=True)
class _Segment:
    separator: str
    separator_at: int
    start: int
    text: str


def _segments(query: str) -> Iterator[_Segment]:
    separator, separator_at, start = "", 0, 0
    for match in _SEPARATOR.finditer(query):
        yield _Segment(separator, separator_at, start, query[start : match.start()])
        separator, separator_at, start = match[0].lower(), match.start(), match.end()
    yield _Segment(separator, separator_at, start, query[start:])


def _decoded(raw: str) -> tuple[str, int | None]:
    """Return the text, and the index of the first byte that is no UTF-8 if there is one."""
    if "%" not in raw:
        return raw.replace("+", " "), None
    encoded = unquote_to_bytes(raw.replace("+", " "))
    try:
        return encoded.decode(), None
    except UnicodeDecodeError as error:
        return encoded.decode("utf-8", "replace"), error.start


def _raw_index(raw: str, index: int) -> int:
    """Return the index in the raw text of a decoded character."""
    if "%" not in raw:
        return index
    at = 0
    for _ in range(index):
        at += _character_length(raw, at)
    return at


def _character_length(raw: str, at: int) -> int:
    if not _ESCAPED_BYTE.match(raw, at):
        return 1
    lead = int(raw[at + 1 : at + 3], 16)
    size = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
    length = 3
    while length < 3 * size and _ESCAPED_BYTE.match(raw, at + length):
        length += 3
    return length


def _byte_index(raw: str, byte: int) -> int:
    """Return the index in the raw text of a decoded byte."""
    at = 0
    while byte > 0 and at < len(raw):
        if _ESCAPED_BYTE.match(raw, at):
            at, byte = at + 3, byte - 1
        else:
            at, byte = at + 1, byte - len(raw[at].encode())
    return at
