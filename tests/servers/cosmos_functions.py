"""The built-in functions that the test server's queries know. Any other is refused when the query is parsed."""

from collections.abc import Callable
from typing import Any

from tests.servers.cosmos_values import UNDEFINED, identical, is_number


def _texts(test: Callable[[str, str], bool]) -> Callable[..., Any]:
    """A test of two strings, with the optional third argument that ignores case. Other types are undefined."""

    def function(text: Any, part: Any, ignore_case: Any = False) -> Any:
        if not (isinstance(text, str) and isinstance(part, str) and isinstance(ignore_case, bool)):
            return UNDEFINED
        return test(text.lower(), part.lower()) if ignore_case else test(text, part)

    return function


def _array_contains(array: Any, wanted: Any) -> Any:
    if not isinstance(array, list) or wanted is UNDEFINED:
        return UNDEFINED
    return any(identical(element, wanted) for element in array)


def _array_length(array: Any) -> Any:
    return len(array) if isinstance(array, list) else UNDEFINED


def _cased(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda text: change(text) if isinstance(text, str) else UNDEFINED


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "ARRAY_CONTAINS": (_array_contains, 2, 2),
    "ARRAY_LENGTH": (_array_length, 1, 1),
    "CONTAINS": (_texts(lambda text, part: part in text), 2, 3),
    "ENDSWITH": (_texts(str.endswith), 2, 3),
    "IS_ARRAY": (_is(list), 1, 1),
    "IS_BOOL": (_is(bool), 1, 1),
    "IS_DEFINED": (lambda value: value is not UNDEFINED, 1, 1),
    "IS_NULL": (lambda value: value is None, 1, 1),
    "IS_NUMBER": (is_number, 1, 1),
    "IS_OBJECT": (_is(dict), 1, 1),
    "IS_STRING": (_is(str), 1, 1),
    "LOWER": (_cased(str.lower), 1, 1),
    "STARTSWITH": (_texts(str.startswith), 2, 3),
    "UPPER": (_cased(str.upper), 1, 1),
}
"""Each function with the least and the greatest number of its arguments. The IS_ functions are false for undefined."""

AGGREGATES = frozenset({"AVG", "COUNT", "MAX", "MIN", "SUM"})
