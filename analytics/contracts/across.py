"""Judging fields together: what is missing, what contradicts, and in which channel it all ends up."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from analytics.contracts.channels import Channel
from analytics.contracts.compiled import CompiledContract
from analytics.contracts.findings import Finding, found
from analytics.contracts.model import Condition, CrossFieldRule, FieldRule
from analytics.contracts.parameters import UTM_FIELDS
from analytics.contracts.urls import Parameter

Occurring = Mapping[str, Sequence[Parameter]]


def check(
    contract: CompiledContract,
    values: Mapping[str, str],
    utm: Occurring,
    channel: Channel,
    undecided: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with the fields together. `undecided`: the channel is only known once macros are filled in."""
    for rule in contract.rules.cross_fields:
        if rule.kind != "channel":
            yield from _contradiction(rule, values, utm)
        elif utm and not undecided and channel.name not in rule.channels and _holds(rule.when, values):
            yield _misfiled(rule, values, utm, channel)


def missing(contract: CompiledContract, values: Mapping[str, str], utm: Occurring) -> Iterator[Finding]:
    """Yield each field that should be there and is not."""
    for compiled in contract.fields.values():
        if compiled.rule.field not in utm and _is_required(compiled.rule, values):
            yield _missing(compiled.rule)


def unknown_field(parameter: Parameter) -> Finding:
    """Return the finding for a parameter that looks like a utm field and is none."""
    near = get_close_matches(parameter.name[:64], UTM_FIELDS, n=1)
    return found(
        "unknown_utm_field",
        parameter.name[:64],
        parameter.name_at,
        parameter.name,
        near[0] if near else ", ".join(UTM_FIELDS),
        hint=f"Did you mean {near[0]}?" if near else "",
        rule_id="parse",
    )


def _is_required(rule: FieldRule, values: Mapping[str, str]) -> bool:
    return rule.presence == "required" or (rule.presence == "required_if" and _holds(rule.required_if, values))


def _missing(rule: FieldRule) -> Finding:
    expected = rule.values[0].value if rule.values else next(iter(rule.macros), "") or rule.example
    return found(
        "field_missing",
        rule.field,
        None,
        "",
        expected,
        severity=rule.severity,
        hint=rule.hint or rule.message,
        rule_id=rule.rule_id,
    )


def _holds(condition: Condition | None, values: Mapping[str, str]) -> bool:
    if condition is None:
        return True
    value = values.get(condition.field)
    return value is not None and (not condition.values or value in condition.values)


def _contradiction(rule: CrossFieldRule, values: Mapping[str, str], utm: Occurring) -> Iterator[Finding]:
    assert rule.when is not None
    assert rule.then is not None
    one, other = values.get(rule.when.field), values.get(rule.then.field)
    match rule.kind:
        case "equals":
            broken = one is not None and other is not None and one != other
            expected = one or ""
        case "excludes":
            broken = _holds(rule.when, values) and _holds(rule.then, values)
            expected = f"not beside {rule.when.field}"
        case _:
            broken = _holds(rule.when, values) and not _holds(rule.then, values)
            expected = ", ".join(rule.then.values) or "a value"
    if broken:
        yield _told(rule, "condition_failed", rule.then.field, utm, got=other or "", expected=expected)


def _misfiled(rule: CrossFieldRule, values: Mapping[str, str], utm: Occurring, channel: Channel) -> Finding:
    field = "utm_medium" if "utm_medium" in values else "utm_source"
    return _told(rule, "channel_mismatch", field, utm, got=channel.name, expected=", ".join(rule.channels))


def _told(rule: CrossFieldRule, code: str, field: str, utm: Occurring, *, got: str, expected: str) -> Finding:
    parameters = utm.get(field)
    return found(
        code,
        field,
        parameters[0].value_at if parameters else None,
        got,
        expected,
        severity=rule.severity,
        hint=rule.hint or rule.message,
        rule_id=rule.rule_id,
    )
