"""Examples in a document: `http` blocks of a request and the answer to it, read and compared with what the application does.

In an answer `…` stands for what differs from run to run, within a text for any part of it; an object with a member named `…` has
more members than it shows. An answer lists the headers that matter.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

ELIDED = "…"
_BLOCK = re.compile(r"^```http\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_STATUS = re.compile(r"^HTTP/1\.1 (\d{3})$", re.MULTILINE)


@dataclass
class Message:
    """A request or an answer: its first line's words, its headers and its body."""

    start: list[str]
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    @classmethod
    def parse(cls, text: str) -> "Message":
        head, _, body = text.strip("\n").partition("\n\n")
        start, *lines = head.splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        return cls(start.split(" ", 1), headers, body.strip("\n"))


@dataclass
class Example:
    """One block: what is sent and what is answered. `line` is where it begins in the document."""

    line: int
    request: Message
    answer: Message

    @property
    def status(self) -> int:
        return int(self.answer.start[1])


def examples_of(document: str) -> list[Example]:
    """Return the examples of a document, in order."""
    found = []
    for block in _BLOCK.finditer(document):
        status = _STATUS.search(block[1])
        assert status, f"an example without an answer: {block[1]}"
        line = document[: block.start()].count("\n") + 2
        request, answer = block[1][: status.start()], block[1][status.start() :]
        found.append(Example(line, Message.parse(request), Message.parse(answer)))
    return found


def same_text(expected: str, actual: str) -> bool:
    """Whether a text is what is expected, where `…` stands for anything."""
    pattern = ".*".join(map(re.escape, expected.split(ELIDED)))
    return re.fullmatch(pattern, actual, re.DOTALL) is not None


def differences(expected: Any, actual: Any, path: str = "") -> list[str]:
    """Return where JSON is not what is expected."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _of_objects(expected, actual, path)
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{path}: {len(actual)} items, not {len(expected)}"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [found for index, (one, other) in pairs for found in differences(one, other, f"{path}[{index}]")]
    if expected == ELIDED or (isinstance(expected, str) and isinstance(actual, str) and same_text(expected, actual)):
        return []
    same = type(expected) is type(actual) and expected == actual
    return [] if same else [f"{path}: {actual!r}, not {expected!r}"]


def _of_objects(expected: dict[str, Any], actual: dict[str, Any], path: str) -> list[str]:
    shown = {name for name in expected if name != ELIDED}
    missing = [f"{path}.{name} is missing" for name in sorted(shown - set(actual))]
    extra = [] if ELIDED in expected else [f"{path}.{name} is not shown" for name in sorted(set(actual) - shown)]
    both = [name for name in shown if name in actual]
    return [
        *missing,
        *extra,
        *(found for name in both for found in differences(expected[name], actual[name], f"{path}.{name}")),
    ]


def unlike(example: Example, status: int, headers: dict[str, str], body: str) -> list[str]:
    """Return how an answer differs from the example's."""
    found = [] if status == example.status else [f"status {status}: {body}"]
    for name, value in example.answer.headers.items():
        if not same_text(value, headers.get(name.lower(), "absent")):
            found.append(f"{name}: {headers.get(name.lower(), 'absent')}, not {value}")
    expected = example.answer.body
    if expected.startswith(("{", "[")):
        return found + differences(json.loads(expected), json.loads(body))
    return found if same_text(expected, body) else [*found, f"body {body!r}"]
