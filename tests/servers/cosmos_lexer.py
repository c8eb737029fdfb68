"""The words of a Cosmos DB query: one list of tokens, or a 400 that names the character nobody knows."""

import re
from dataclasses import dataclass
from typing import Any

from tests.servers.cosmos_errors import bad_request
from tests.servers.cosmos_values import number

MAX_QUERY = 512 * 1024
"""Bytes in a query's text ("Service quotas", SQL query limits)."""

# fmt: off
KEYWORDS = frozenset({
    "AND", "ARRAY", "AS", "ASC", "BETWEEN", "BY", "CASE", "CAST", "CONVERT", "CROSS", "DESC", "DISTINCT", "ELSE",
    "END", "ESCAPE", "EXISTS", "FALSE", "FOR", "FROM", "GROUP", "HAVING", "IN", "INNER", "INSERT", "INTO", "IS",
    "JOIN", "LEFT", "LIKE", "LIMIT", "NOT", "NULL", "OFFSET", "ON", "OR", "ORDER", "OUTER", "OVER", "RIGHT",
    "SELECT", "SET", "THEN", "TOP", "TRUE", "UNDEFINED", "UPDATE", "VALUE", "WHEN", "WHERE", "WITH",
})
# fmt: on
"""Reserved: none of them may name an alias, or a property after a dot (write `c["order"]`)."""

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<parameter>@[A-Za-z0-9_]+)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol>!=|<>|<=|>=|[=<>+\-*/%()\[\],.])
    )""",
    re.VERBOSE | re.DOTALL,
)

ESCAPED = re.compile(r"\\(?:u(?P<code>[0-9A-Fa-f]{4})|(?P<letter>.))", re.DOTALL)
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\", '"': '"', "'": "'"}


@dataclass(frozen=True)
class Token:
    """A word and its kind: number, string, parameter, keyword, word, symbol or end. `value` is a literal's value."""

    kind: str
    text: str
    value: Any = None


END = Token("end", "the end of the query")


def tokens_of(text: str) -> list[Token]:
    """Split a query into tokens, `END` the last. Raises a 400 where a character is not of the language."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_QUERY:
        raise bad_request(f"the query is longer than {MAX_QUERY} bytes")
    found, position, stop = [], 0, len(text.rstrip())
    while position < stop:
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise bad_request(f"Syntax error, unexpected character near {text[position : position + 20]!r}")
        found.append(_token(match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return [*found, END]


def _token(kind: str, text: str) -> Token:
    if kind == "word" and text.upper() in KEYWORDS:
        return Token("keyword", text.upper())
    if kind == "number":
        return Token(kind, text, number(float(text)))
    return Token(kind, text, _unquoted(text) if kind == "string" else None)


def _unquoted(text: str) -> str:
    plain = ESCAPED.sub(_unescaped, text[1:-1])
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _unescaped(match: re.Match[str]) -> str:
    if match["code"]:
        return chr(int(match["code"], 16))
    if match["letter"] not in ESCAPES:
        raise bad_request(f"Syntax error, {match[0]} is no escape sequence")
    return ESCAPES[match["letter"]]
