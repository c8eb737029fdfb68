"""Does the text of one field pass a validation rule? For the checks that look at nothing else."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Final

from storage.kinds.rules_rows import ValidationRule

_AMOUNT: Final = re.compile(r"-?\d{1,30}(?:\.(\d+))?")
_ISO_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def can_judge(rule: ValidationRule) -> bool:
    """Whether the rule needs nothing but the value: no other field, row or limit, and no condition."""
    return rule.check in _JUDGES and "when_field" not in rule.options


def passes(rule: ValidationRule, value: str) -> bool:
    """Whether the value passes a rule that `can_judge` names. An empty one passes every check but `required`."""
    if rule.check != "required" and not value:
        return True
    return _JUDGES[rule.check](rule, value)


def _required(_rule: ValidationRule, value: str) -> bool:
    return bool(value.strip())


def _pattern(rule: ValidationRule, value: str) -> bool:
    return re.fullmatch(rule.pattern or "", value) is not None


def _one_of(rule: ValidationRule, value: str) -> bool:
    return value in rule.choices


def _decimal(rule: ValidationRule, value: str) -> bool:
    found = _AMOUNT.fullmatch(value)
    if found is None or len(found[1] or "") > int(rule.options.get("places", "8")):
        return False
    amount = Decimal(value)
    return not (
        (rule.minimum is not None and amount < rule.minimum) or (rule.maximum is not None and amount > rule.maximum)
    )


def _date(_rule: ValidationRule, value: str) -> bool:
    if not _ISO_DAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


_JUDGES: Final[dict[str, Callable[[ValidationRule, str], bool]]] = {
    "date": _date,
    "decimal": _decimal,
    "one_of": _one_of,
    "pattern": _pattern,
    "required": _required,
}
