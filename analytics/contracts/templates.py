"""URL templates made from a contract's own rules, and what the platform makes of one when an ad is clicked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from analytics.contracts.compiled import CompiledContract
from analytics.contracts.findings import Finding
from analytics.contracts.macros import macros_in, spelled
from analytics.contracts.model import FieldRule, MacroDialect, template_text
from analytics.contracts.parameters import UTM_FIELDS
from analytics.contracts.validating import validate_url

EXAMPLE_PAGE: Final = "https://www.example.com/"
EXAMPLE_CLICK_ID: Final = "EAIaIQobChMI-example_0123456789"

Fill = Callable[[str, FieldRule | None], str]
"""Gives what the platform writes for a macro's name in a field."""


@dataclass(frozen=True, slots=True)
class UrlTemplate:
    """What to paste into the platform. `template` begins with the landing page (its macro where the platform has one);
    `suffix` are the parameters alone, for a field that takes only those. `findings` say what the contract thinks of it."""

    template: str
    suffix: str
    fields: Mapping[str, str]
    findings: tuple[Finding, ...]


def generate(contract: CompiledContract, values: Mapping[str, str] | None = None, page: str = "") -> UrlTemplate:
    """Return the template that the rules make, with `values` in place of their own for the fields that they name.

    A required field that the rules leave to whoever makes the ad has its example until a value is given.
    """
    fields = dict(_texts(contract, values or {}))
    suffix = "&".join(f"{field}={_encoded(text)}" for field, text in fields.items())
    base = page or _landing(contract.rules.dialect)
    joined = "&" if "?" in base else "?"
    template = f"{base}{joined}{suffix}" if base else suffix
    return UrlTemplate(template, suffix, fields, validate_url(contract, template, "template").findings)


def expand(contract: CompiledContract, template: str, fill: Fill | None = None, *, page: str = EXAMPLE_PAGE) -> str:
    """Return the landing URL that a click on an ad with this template leads to: macros filled in, the click id added."""
    dialect = contract.rules.dialect or MacroDialect()
    base, mark, suffix = template.partition("?")
    if not mark:
        base, suffix = "", template
    for name in dialect.landing:
        base = base.replace(spelled(dialect, name), page)
    pairs = [pair.partition("=") for pair in suffix.split("&")]
    filled = [f"{name}={_filled(contract, name, text, fill or example)}" for name, _, text in pairs]
    click = next((rule.parameter for rule in contract.rules.click_ids if rule.expected), None)
    if click:
        filled.append(f"{click}={EXAMPLE_CLICK_ID}")
    base = base or page
    return f"{base}{'&' if '?' in base else '?'}{'&'.join(filled)}"


def example(name: str, rule: FieldRule | None) -> str:
    """Return what a platform may write for a macro: the rule's example, a number for an id, else a name."""
    if rule and rule.example:
        return rule.example
    return "1234567890" if name.lower().endswith("id") else "spring_sale"


def _texts(contract: CompiledContract, values: Mapping[str, str]) -> list[tuple[str, str]]:
    found = []
    for field in UTM_FIELDS:
        compiled = contract.fields.get(field)
        text = values.get(field) or (_own_text(compiled.rule) if compiled else "")
        if text:
            found.append((field, text))
    return found


def _own_text(rule: FieldRule) -> str:
    return template_text(rule) or (rule.example if rule.presence == "required" else "")


def _landing(dialect: MacroDialect | None) -> str:
    return spelled(dialect, dialect.landing[0]) if dialect and dialect.landing else ""


def _encoded(text: str) -> str:
    """Percent-encode a text but for its macros, which the platform must find as they are."""
    pieces, at = [], 0
    for macro in sorted(macros_in(text), key=lambda one: one.start):
        pieces += [quote(text[at : macro.start], safe=""), macro.text]
        at = macro.start + len(macro.text)
    return "".join([*pieces, quote(text[at:], safe="")])


def _filled(contract: CompiledContract, field: str, text: str, fill: Fill) -> str:
    compiled = contract.fields.get(field)
    pieces, at = [], 0
    for macro in sorted(macros_in(text), key=lambda one: one.start):
        pieces += [text[at : macro.start], quote(fill(macro.name, compiled.rule if compiled else None), safe="")]
        at = macro.start + len(macro.text)
    return "".join([*pieces, text[at:]])
