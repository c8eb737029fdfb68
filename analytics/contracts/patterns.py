"""Patterns of contracts: matched over the whole value, in time linear in its length, whatever the pattern says.

The language: literals, `.`, classes `[a-z0-9_-]` and `[^…]`, `\\d \\w \\s \\D \\W \\S` (ASCII), groups, `|`, and the repetitions
`? * + {m} {m,} {m,n}`; `^` and `$` are allowed at the ends and change nothing. Whatever needs backtracking (back-references,
look-around, lazy repetition) is refused. A pattern becomes the positions of its characters, and what may follow each
(Glushkov); a value is matched by walking sets of positions, and each step from a set is worked out once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

POSITIONS: Final = 2_000
"""Character positions that a pattern may have once its repetitions are written out."""
EDGES: Final = 5_000
"""How many pairs of positions may follow one another: what one step of a match costs at most."""
PATTERN_CHARACTERS: Final = 500
NESTING: Final = 20
STEPS_KEPT: Final = 20_000
"""Worked-out steps that a pattern keeps; then it begins anew."""
_CHARACTERS: Final = 0x110000

Ranges = tuple[tuple[int, int], ...]

_DIGIT: Final[Ranges] = ((48, 57),)
_WORD: Final[Ranges] = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final[Ranges] = ((9, 13), (32, 32))


class BadPattern(ValueError):
    """The pattern is not in the language. The message says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A part of a pattern: which positions begin it and end it, and whether it matches nothing too."""

    first: frozenset[int]
    last: frozenset[int]
    empty: bool


@dataclass(slots=True)
class Pattern:
    """A compiled pattern. `matches` takes the whole value or nothing."""

    source: str
    _accepts: list[Ranges]
    _follow: list[set[int]]
    _root: _Node
    _steps: dict[tuple[frozenset[int], str], frozenset[int]] = field(default_factory=dict)

    def matches(self, value: str) -> bool:
        """Whether the whole value is what the pattern describes."""
        return self.mismatch(value) is None

    def mismatch(self, value: str) -> int | None:
        """Return the index at which the value stops to be what the pattern describes; None where it is it as a whole."""
        if not value:
            return None if self._root.empty else 0
        state = _START
        for index, character in enumerate(value):
            following = self._steps.get((state, character))
            state = self._step(state, character) if following is None else following
            if not state:
                return index
        return None if state & self._root.last else len(value)

    def _step(self, state: frozenset[int], character: str) -> frozenset[int]:
        code = ord(character)
        reachable = self._root.first if state is _START else {after for one in state for after in self._follow[one]}
        following = frozenset(one for one in reachable if _holds(self._accepts[one], code))
        if len(self._steps) >= STEPS_KEPT:
            self._steps.clear()
        self._steps[state, character] = following
        return following


_START: Final = frozenset({-1})


def compile_pattern(source: str) -> Pattern:
    """Return the pattern. Raises BadPattern for one that is not in the language, or that is too large."""
    if len(source) > PATTERN_CHARACTERS:
        raise BadPattern(f"The pattern has {len(source)} characters; {PATTERN_CHARACTERS} are allowed.")
    return _Parser(source).parse()


class _Parser:
    """Recursive descent; a repeated part is parsed again for each time that it stands for."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._text = source.removeprefix("^")
        if self._text.endswith("$") and not self._text.endswith("\\$"):
            self._text = self._text[:-1]
        self._at = 0
        self._depth = 0
        self._accepts: list[Ranges] = []
        self._follow: list[set[int]] = []
        self._edges = 0
        self._atoms = 0

    def parse(self) -> Pattern:
        root = self._choice()
        if self._at < len(self._text):
            raise self._refused("a ) without its (")
        return Pattern(self._source, self._accepts, self._follow, root)

    def _choice(self) -> _Node:
        node = self._sequence()
        while self._take("|"):
            other = self._sequence()
            node = _Node(node.first | other.first, node.last | other.last, node.empty or other.empty)
        return node

    def _sequence(self) -> _Node:
        node = _NOTHING
        while self._peek() not in {"", "|", ")"}:
            node = self._joined(node, self._repeated())
        return node

    def _repeated(self) -> _Node:
        start = self._at
        node = self._atom()
        end = self._at
        least, most = self._repetition()
        if (least, most) == (1, 1):
            return node
        again = self._again(node, start, end)
        after = self._at
        required = _NOTHING
        for _ in range(least):
            required = self._joined(required, next(again))
        if most is None:
            node = required if least else next(again)
            if least:
                last = next(again)
                self._loop(last)
                node = self._joined(required, _Node(last.first, last.last, True))
            else:
                self._loop(node)
                node = _Node(node.first, node.last, True)
        else:
            node = self._joined(required, self._optional(again, most - least))
        self._at = after
        return node

    def _again(self, node: _Node, start: int, end: int) -> Iterator[_Node]:
        """Yield the part that stands from `start` to `end`, anew each time."""
        yield node
        while True:
            self._at = start
            again = self._atom()
            assert self._at == end
            yield again

    def _optional(self, again: Iterator[_Node], times: int) -> _Node:
        """Return up to so many of a part, one inside the other: x(x(x)?)?."""
        parts = [next(again) for _ in range(times)]
        node = _NOTHING
        for part in reversed(parts):
            whole = self._joined(part, node)
            node = _Node(whole.first, whole.last, True)
        return node

    def _loop(self, node: _Node) -> None:
        self._connect(node.last, node.first)

    def _connect(self, last: frozenset[int], first: frozenset[int]) -> None:
        self._edges += len(last) * len(first)
        if self._edges > EDGES:
            raise self._refused(f"more than {EDGES} ways from one character to the next")
        for one in last:
            self._follow[one] |= first

    def _joined(self, left: _Node, right: _Node) -> _Node:
        self._connect(left.last, right.first)
        first = left.first | right.first if left.empty else left.first
        last = left.last | right.last if right.empty else right.last
        return _Node(first, last, left.empty and right.empty)

    def _repetition(self) -> tuple[int, int | None]:
        least: int
        most: int | None
        match self._peek():
            case "?":
                least, most = 0, 1
            case "*":
                least, most = 0, None
            case "+":
                least, most = 1, None
            case "{":
                return self._counted()
            case _:
                return 1, 1
        self._at += 1
        return self._greedy(least, most)

    def _counted(self) -> tuple[int, int | None]:
        close = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : close].partition(",")
        if close < 0 or not _is_count(low) or not (_is_count(high) or high == ""):
            raise self._refused("a { that begins no {m}, {m,} or {m,n}: write \\{")
        self._at = close + 1
        least = int(low)
        most = int(high) if high else (None if comma else least)
        if max(least, most or 0) > POSITIONS or (most is not None and most < least):
            raise self._refused(f"a repetition of {low},{high}")
        return self._greedy(least, most)

    def _greedy(self, least: int, most: int | None) -> tuple[int, int | None]:
        if self._peek() in {"?", "+", "*"} and self._peek():
            raise self._refused("a repetition of a repetition, which is lazy or possessive elsewhere")
        return least, most

    def _atom(self) -> _Node:
        character = self._peek()
        self._at += 1
        self._atoms += 1
        if self._atoms > EDGES:
            raise self._refused("too many repetitions in one another")
        match character:
            case "(":
                return self._group()
            case "[":
                return self._position(self._class())
            case ".":
                return self._position(((0, 9), (11, _CHARACTERS)))
            case "\\":
                return self._position(self._escape())
            case "^" | "$":
                raise self._refused(f"{character} elsewhere than at its end; every pattern matches the whole value")
            case "*" | "+" | "?" | "{":
                raise self._refused(f"{character} that repeats nothing")
            case _:
                return self._position(((ord(character), ord(character)),))

    def _group(self) -> _Node:
        if self._take("?") and not self._take(":"):
            raise self._refused("(?…, which needs backtracking: only ( and (?: are allowed")
        self._depth += 1
        if self._depth > NESTING:
            raise self._refused(f"more than {NESTING} groups in one another")
        node = self._choice()
        self._depth -= 1
        if not self._take(")"):
            raise self._refused("a ( without its )")
        return node

    def _class(self) -> Ranges:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not ranges or self._peek() != "]":
            ranges += self._class_item()
        self._at += 1
        return _negated(tuple(ranges)) if negated else tuple(ranges)

    def _class_item(self) -> Ranges:
        low = self._class_character()
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in {"]", ""}:
            return low
        self._at += 1
        high = self._class_character()
        if len(low) != 1 or low[0][0] != low[0][1] or len(high) != 1 or high[0][0] < low[0][0]:
            raise self._refused("a range that ends before it begins")
        return ((low[0][0], high[0][1]),)

    def _class_character(self) -> Ranges:
        character = self._peek()
        if not character:
            raise self._refused("a [ without its ]")
        self._at += 1
        return self._escape() if character == "\\" else ((ord(character), ord(character)),)

    def _escape(self) -> Ranges:
        character = self._peek()
        self._at += 1
        if character in _CLASSES:
            return _CLASSES[character]
        if not character or character.isalnum():
            raise self._refused(f"\\{character}, which is not in the language")
        return ((ord(character), ord(character)),)

    def _position(self, accepts: Ranges) -> _Node:
        if len(self._accepts) >= POSITIONS:
            raise self._refused(f"more than {POSITIONS} characters once its repetitions are written out")
        self._accepts.append(accepts)
        self._follow.append(set())
        here = frozenset({len(self._accepts) - 1})
        return _Node(here, here, empty=False)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        found = self._peek() == character
        self._at += found
        return found

    def _refused(self, what: str) -> BadPattern:
        return BadPattern(f"The pattern {self._source[:100]!a} has {what} (near character {self._at}).")


_NOTHING: Final = _Node(frozenset(), frozenset(), empty=True)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4


def _holds(ranges: Ranges, code: int) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _negated(ranges: Ranges) -> Ranges:
    gaps, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            gaps.append((start, low - 1))
        start = max(start, high + 1)
    return (*gaps, (start, _CHARACTERS))


_CLASSES: Final[dict[str, Ranges]] = {
    "d": _DIGIT,
    "w": _WORD,
    "s": _SPACE,
    "D": _negated(_DIGIT),
    "W": _negated(_WORD),
    "S": _negated(_SPACE),
}
