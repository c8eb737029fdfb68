"""Making rules of the plain form: a template's values, and the names, or names and values, that are allowed beside them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from analytics.contracts.macros import dialects, macros_in
from analytics.contracts.model import AllowedValue, AttributionContract, FieldRule, Rules
from analytics.contracts.parameters import UTM_FIELD_SET, UTM_FIELDS, utm_name
from analytics.contracts.seeds import ACTIVE, DRAFTS, seed
from analytics.contracts.urls import parse_url
from northstar.errors import FieldError, InvalidRequest
from northstar.inputs import checked

T = TypeVar("T")
AllowedFields = Sequence[str] | Mapping[str, Sequence[str]]

TEMPLATE: Final = "utm_template"
ALLOWED: Final = "allowed_fields"


def plain_rules(
    platform: str,
    template: Mapping[str, str] | str,
    allowed: AllowedFields,
    parent: AttributionContract | None,
) -> Rules:
    """Return the rules of the plain form: every other utm field is forbidden.

    A value of the template must come as it is, a macro of it must be filled in; a field without values takes any. What the
    form cannot say (other spellings of a value, click ids, the macros' dialect) is as in the parent, else as shipped.
    Raises InvalidRequest for names that are no utm fields, stand twice or say what no rule can.
    """
    base = parent.rules if parent else _shipped(platform)
    fields = template_fields(template)
    beside = _allowed(allowed)
    rules = {field: _of_template(field, text, base) for field, text in fields.items()}
    rules |= {field: _beside(field, values, base) for field, values in beside.items() if field not in rules}
    ordered = tuple(rules[field] for field in UTM_FIELDS if field in rules)
    return Rules(
        fields=ordered,
        other_fields="forbid",
        click_ids=base.click_ids,
        click_id_retention=base.click_id_retention,
        dialect=base.dialect,
        own_hosts=base.own_hosts,
    )


def inherited(rules: Rules, parent: Rules) -> Rules:
    """Return rules with what they leave out as in the parent.

    Fields, cross-field rules, click ids and severities are taken over one by one, by their names, the rest as a whole. Raises
    InvalidRequest when they are too many together.
    """
    said = rules.model_fields_set
    merged: dict[str, Any] = {name: getattr(parent, name) for name in Rules.model_fields if name not in said}
    for name, key in (("fields", "field"), ("cross_fields", "id"), ("click_ids", "parameter")):
        if name in said:
            by_name = {getattr(one, key): one for one in (*getattr(parent, name), *getattr(rules, name))}
            merged[name] = tuple(by_name.values())
    if "severities" in said:
        merged["severities"] = {**parent.severities, **rules.severities}
    return checked(Rules, {name: getattr(rules, name) for name in Rules.model_fields} | merged, "contract")


def _shipped(platform: str) -> Rules:
    if platform in {*ACTIVE, *DRAFTS}:
        return seed(platform).rules
    return Rules(dialect=dialects().get(platform))


def template_fields(template: Mapping[str, str] | str) -> dict[str, str]:
    """Return a template's values by field. Raises InvalidRequest for a name that is no utm field, or has two values."""
    if isinstance(template, str):
        parameters = parse_url(template).parameters
        return _by_field(((one.name, one.value) for one in parameters if one.name in UTM_FIELD_SET), TEMPLATE)
    return _by_field(template.items(), TEMPLATE)


def _allowed(allowed: AllowedFields) -> dict[str, Sequence[str]]:
    if isinstance(allowed, Mapping):
        return _by_field(allowed.items(), ALLOWED)
    return dict.fromkeys((_field(name, ALLOWED) for name in allowed), ())


def _by_field(pairs: Iterable[tuple[str, T]], where: str) -> dict[str, T]:
    """Return the values by field. Of two that differ nobody may guess which is meant."""
    found: dict[str, T] = {}
    for name, value in pairs:
        field = _field(name, where)
        if found.setdefault(field, value) != value:
            raise _wrong(where, field, "conflict", f"{field} has two values.")
    return found


def _field(name: str, where: str) -> str:
    if utm_name(name) not in UTM_FIELD_SET:
        detail = f"{name[:64]!a} is no utm field; use one of: {', '.join(UTM_FIELDS)}, with or without utm_."
        raise _wrong(where, name[:64], "choice", detail)
    return utm_name(name)


def _of_template(field: str, text: str, base: Rules) -> FieldRule:
    macros = tuple(macro.text for macro in macros_in(text))
    if macros:
        return _rule(TEMPLATE, field, presence="required", kind="macro", macros=macros, template=text)
    if not text:
        return _rule(TEMPLATE, field, presence="required", min_length=1)
    values = (_value(field, text, base),)
    return _rule(TEMPLATE, field, presence="required", kind="enum", values=values, template=text)


def _beside(field: str, values: Sequence[str], base: Rules) -> FieldRule:
    if not values:
        return _rule(ALLOWED, field)
    return _rule(ALLOWED, field, kind="enum", values=tuple(_value(field, one, base) for one in values))


def _value(field: str, text: str, base: Rules) -> AllowedValue | dict[str, str]:
    known = [one for rule in base.fields if rule.field == field for one in rule.values]
    return next((one for one in known if one.value == text), {"value": text})


def _rule(where: str, field: str, **said: Any) -> FieldRule:
    """Return the rule. Raises InvalidRequest, naming the field as it was sent, for what no rule can say."""
    try:
        return FieldRule(field=field, **said)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_context=False, include_url=False)[0]
        detail = f"{field}: {problem['msg'].removeprefix('Value error, ')}"
        raise _wrong(where, field, problem["type"], detail) from None


def _wrong(where: str, field: str, code: str, detail: str) -> InvalidRequest:
    errors = [FieldError(f"{where}.{field}", code, detail)]
    return InvalidRequest(detail, fix="Correct the fields in `errors`.", errors=errors)
