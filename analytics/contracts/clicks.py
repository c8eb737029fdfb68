"""Judging click ids: of which platform they are, what they prove, and how they may be kept. Their bytes are never touched."""

import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final

from analytics.contracts.channels import PAID, Channel
from analytics.contracts.compiled import CompiledContract
from analytics.contracts.findings import Finding, found
from analytics.contracts.macros import Phase
from analytics.contracts.parameters import ClickId, click_ids
from analytics.contracts.urls import Parameter

WELL_FORMED: Final = re.compile(r"[A-Za-z0-9_.~!*'()%=+/:,@$|-]{1,1024}")
"""What platforms write. Anything else is kept as it is all the same, and told."""
HASHED: Final = "sha256:"
_IS_HASHED: Final = re.compile(r"sha256:[0-9a-f]{64}")


def check(
    contract: CompiledContract,
    clicks: Mapping[ClickId, Parameter],
    utm: Mapping[str, str],
    channel: Channel,
    phase: Phase,
) -> Iterator[Finding]:
    """Yield what is wrong with the click ids, alone, together and beside the tags."""
    for click, parameter in clicks.items():
        if phase == "landing" and parameter.value and not WELL_FORMED.fullmatch(parameter.value):
            bad = _first_bad(parameter.value)
            yield found(
                "click_id_malformed", click.parameter, parameter.at(bad), parameter.value, rule_id=_rule_id(click)
            )
        if not contract.is_own(click) and click.proof != "none" and utm:
            hint = f"{click.parameter} is of {click.platform}; the tags are of {contract.contract.platform}."
            yield found(
                "foreign_click_id",
                click.parameter,
                parameter.name_at,
                parameter.value,
                hint=hint,
                rule_id=_rule_id(click),
            )
    own = {click: parameter for click, parameter in clicks.items() if contract.is_own(click)}
    yield from _together(contract, own)
    bare = next(((click, one) for click, one in own.items() if click.proof != "none"), None)
    if bare and not utm:
        click, parameter = bare
        yield found(
            "click_id_without_utm",
            click.parameter,
            parameter.name_at,
            parameter.value,
            "utm_source",
            rule_id=_rule_id(click),
        )
    if phase == "landing":
        yield from _unproven(contract, own, utm, channel)


def kept(contract: CompiledContract | None, clicks: Mapping[str, str]) -> dict[str, str]:
    """Return click ids as they may be kept: whole, `sha256:<hex>`, or empty where only their presence may be.

    What was kept before, and is judged again, stays as it is.
    """
    return {name: _retained(contract.retention(name) if contract else "keep", value) for name, value in clicks.items()}


def kept_url(contract: CompiledContract, url: str, parameters: Iterable[Parameter]) -> str | None:
    """Return a URL with its click ids as they may be kept; None where it may stay as it is."""
    kept_so = url
    for one in sorted(parameters, key=lambda parameter: parameter.value_at, reverse=True):
        if one.name in click_ids() and one.raw:
            value = _retained(contract.retention(one.name), one.value)
            if value != one.value:
                kept_so = kept_so[: one.value_at] + value + kept_so[one.value_at + len(one.raw) :]
    return None if kept_so == url else kept_so


def _retained(retention: str, value: str) -> str:
    if retention == "keep" or (retention == "hash" and (not value or _IS_HASHED.fullmatch(value))):
        return value
    return HASHED + sha256(value.encode("utf-8", "surrogatepass")).hexdigest() if retention == "hash" else ""


def _together(contract: CompiledContract, own: Mapping[ClickId, Parameter]) -> Iterator[Finding]:
    """Of one group a click has one id, but for those that the rules let stand beside each other."""
    seen: dict[str, str] = {}
    for click, parameter in own.items():
        rule = contract.clicks.get(click.parameter)
        if rule is None or not rule.group:
            continue
        other = seen.setdefault(rule.group, click.parameter)
        if other != click.parameter and other not in rule.beside:
            hint = f"{other} came with {click.parameter}. Keep both as they are; report one alone."
            yield found(
                "exclusive_click_ids",
                click.parameter,
                parameter.name_at,
                parameter.value,
                other,
                hint=hint,
                rule_id=rule.rule_id,
            )


def _unproven(
    contract: CompiledContract, own: Iterable[ClickId], utm: Mapping[str, str], channel: Channel
) -> Iterator[Finding]:
    expected = [rule.parameter for rule in contract.clicks.values() if rule.expected]
    if not expected or not utm or channel.name not in PAID:
        return
    if any(click.proof == "paid" for click in own):
        return
    names = " or ".join(expected)
    yield found("paid_without_click_id", expected[0], None, "", names, rule_id=f"click_id:{expected[0]}")


def _rule_id(click: ClickId) -> str:
    return f"click_id:{click.parameter}"


def _first_bad(value: str) -> int:
    match = WELL_FORMED.match(value)
    return match.end() if match else 0
