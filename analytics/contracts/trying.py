"""Trying a contract out: what it says of a URL or of fields, and the template that its rules make."""

from collections.abc import Mapping
from dataclasses import dataclass

from analytics.contracts import clicks
from analytics.contracts.findings import Finding
from analytics.contracts.known import compiled
from analytics.contracts.macros import Phase
from analytics.contracts.parameters import click_ids, utm_name
from analytics.contracts.reading import Resolved, contract_of, version_of
from analytics.contracts.templates import UrlTemplate, expand, generate
from analytics.contracts.validating import Report, validate_fields, validate_url
from northstar.context import RequestContext


@dataclass(frozen=True, slots=True)
class Tried:
    """What a contract says. `click_ids` are as its retention lets them be kept."""

    resolved: Resolved
    report: Report
    click_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Made:
    """A template, a landing that a click on its ad may lead to, and what the contract says of that."""

    resolved: Resolved
    template: UrlTemplate
    simulated: str
    findings: tuple[Finding, ...]


def try_url(
    context: RequestContext,
    platform: str,
    url: str,
    phase: Phase,
    *,
    version: str | None = None,
    referrer: str = "",
) -> Tried:
    """Judge a URL by the contract that applies, or by a version of it. Raises as `contract_of` and `version_of`."""
    resolved = _resolved(context, platform, version)
    contract = compiled(resolved.contract)
    report = validate_url(contract, url, phase, referrer=referrer)
    return Tried(resolved, report, clicks.kept(contract, report.clicks))


def try_fields(
    context: RequestContext,
    platform: str,
    fields: Mapping[str, str],
    phase: Phase,
    *,
    version: str | None = None,
    referrer: str = "",
) -> Tried:
    """As `try_url`, for fields by name: `source` and `utm_source` mean the same."""
    resolved = _resolved(context, platform, version)
    contract = compiled(resolved.contract)
    named = {name if name in click_ids() else utm_name(name): value for name, value in fields.items()}
    report = validate_fields(contract, named, phase, referrer=referrer)
    return Tried(resolved, report, clicks.kept(contract, report.clicks))


def make_template(
    context: RequestContext,
    platform: str,
    values: Mapping[str, str],
    *,
    page: str = "",
    version: str | None = None,
) -> Made:
    """Make the URL template of the contract that applies, or of a version of it. Raises as `contract_of` and `version_of`."""
    resolved = _resolved(context, platform, version)
    contract = compiled(resolved.contract)
    template = generate(contract, {utm_name(name): value for name, value in values.items()}, page)
    simulated = expand(contract, template.template)
    return Made(resolved, template, simulated, validate_url(contract, simulated, "landing").findings)


def _resolved(context: RequestContext, platform: str, version: str | None) -> Resolved:
    return version_of(context, platform, version) if version else contract_of(context, platform)
