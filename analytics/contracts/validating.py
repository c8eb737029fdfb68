"""Judging campaign parameters by a contract: every finding with its place, and the values as they should count.

Nothing is repaired silently: the raw values stay, and each repair of the normalised ones is told.

Two phases: a template is judged before launch, and its macros must be the platform's own; a landing is what arrived, and its
macros must be gone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from analytics.contracts import across, clicks
from analytics.contracts.channels import UNASSIGNED, Channel, classify
from analytics.contracts.compiled import CompiledContract
from analytics.contracts.fields import FieldCheck
from analytics.contracts.findings import Finding, Rewrite, Severity, found
from analytics.contracts.macros import Phase, macros_in
from analytics.contracts.parameters import UTM_FIELD_SET, UTM_FIELDS, ClickId, click_ids
from analytics.contracts.urls import Parameter, ParsedUrl, host_of, parse_url

SHOWN_DUPLICATES: Final = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of parameters. `raw` are the utm values as they came (the first of each), `normalised` as they should count.

    `clicks` are the click ids byte for byte, by their canonical parameter. `valid`: no finding is an error.
    """

    valid: bool
    findings: tuple[Finding, ...]
    channel: Channel
    raw: Mapping[str, str]
    normalised: Mapping[str, str]
    rewrites: tuple[Rewrite, ...]
    clicks: Mapping[str, str]


def validate_url(contract: CompiledContract, url: str, phase: Phase, *, referrer: str = "") -> Report:
    """Judge the parameters of a URL, a URL template, or a suffix of parameters. Positions are indexes in it."""
    return validate(contract, parse_url(url), phase, referrer=referrer)


def validate_fields(
    contract: CompiledContract, fields: Mapping[str, str], phase: Phase, *, referrer: str = ""
) -> Report:
    """Judge parameters given by name. Positions are indexes in the values."""
    return validate(contract, ParsedUrl("", "", named(fields), (), ()), phase, referrer=referrer)


def named(fields: Mapping[str, str]) -> tuple[Parameter, ...]:
    """Return parameters that came by name: what they say is decoded already."""
    return tuple(Parameter(name, value, "", 0, 0) for name, value in fields.items())


def validate(contract: CompiledContract, parsed: ParsedUrl, phase: Phase, *, referrer: str = "") -> Report:
    """Judge what was read."""
    checking = _Checking(contract, parsed, phase, host_of(referrer) if referrer else "")
    checking.check()
    findings = tuple(_levelled(contract, sorted(checking.findings, key=_place)))
    return Report(
        valid=all(one.severity is not Severity.ERROR for one in findings),
        findings=findings,
        channel=checking.channel,
        raw={field: parameters[0].value for field, parameters in checking.utm.items()},
        normalised=checking.normalised,
        rewrites=tuple(checking.rewrites),
        clicks={click.parameter: parameter.value for click, parameter in checking.clicks.items()},
    )


def _place(finding: Finding) -> tuple[bool, int]:
    return finding.position is None, finding.position or 0


def _levelled(contract: CompiledContract, findings: Iterable[Finding]) -> Iterable[Finding]:
    """Give findings the severity that the contract says, leaving out those that it turned off."""
    levels = contract.rules.severities
    for one in findings:
        level = levels.get(one.code)
        if level is None:
            yield one
        elif level != "off":
            yield replace(one, severity=Severity(level))


class _Checking:
    """One judgement in the making."""

    def __init__(self, contract: CompiledContract, parsed: ParsedUrl, phase: Phase, referrer_host: str) -> None:
        self._contract = contract
        self._parsed = parsed
        self._phase: Phase = phase
        self._referrer_host = referrer_host
        self.findings: list[Finding] = list(parsed.findings)
        self.rewrites: list[Rewrite] = list(parsed.rewrites)
        self.utm: dict[str, list[Parameter]] = {}
        self.clicks: dict[ClickId, Parameter] = {}
        self.normalised: dict[str, str] = {}
        self.channel = Channel(UNASSIGNED, "")

    def check(self) -> None:
        """Look at everything, in the order in which a person would."""
        self._sort()
        for field in UTM_FIELDS:
            self._field(field, self.utm.get(field, []))
        self.channel = classify(
            self.normalised,
            clicks=self.clicks,
            referrer_host=self._referrer_host,
            own_host=self._parsed.host,
        )
        values = {**self.normalised, **{click.parameter: one.value for click, one in self.clicks.items()}}
        untagged = not self.utm and any(map(self._contract.is_own, self.clicks))
        self.findings += () if untagged else across.missing(self._contract, values, self.utm)
        self.findings += across.check(self._contract, values, self.utm, self.channel, self._macros_left())
        self.findings += clicks.check(self._contract, self.clicks, self.normalised, self.channel, self._phase)
        self._self_referral()
        self._landing_macro()

    def _sort(self) -> None:
        """Put each parameter to its field; what has a utm name and is none is told."""
        for parameter in self._parsed.parameters:
            if parameter.name in UTM_FIELD_SET:
                self.utm.setdefault(parameter.name, []).append(parameter)
            elif click := click_ids().get(parameter.name):
                if click in self.clicks:
                    self._repeated(click.parameter, [self.clicks[click], parameter])
                else:
                    self.clicks[click] = parameter
            elif parameter.name.startswith("utm"):
                self.findings.append(across.unknown_field(parameter))

    def _field(self, field: str, parameters: list[Parameter]) -> None:
        check = FieldCheck(self._contract, field, self._phase)
        if not parameters:
            return
        rule = check.rule
        if len(parameters) > (rule.max_occurrences if rule else 1):
            self._repeated(field, parameters)
        for parameter in parameters:
            value = check.value(parameter)
            self.normalised.setdefault(field, value)
        self.findings += check.findings
        self.rewrites += check.rewrites
        if not self.normalised[field]:
            del self.normalised[field]

    def _repeated(self, field: str, parameters: list[Parameter]) -> None:
        values = [parameter.value for parameter in parameters]
        code = "duplicate_key" if len(set(values)) == 1 else "conflicting_key"
        shown = " | ".join(values[:SHOWN_DUPLICATES])
        self.findings.append(found(code, field, parameters[1].name_at, shown, "one value", rule_id="parse"))

    def _macros_left(self) -> bool:
        """Whether source or medium are only known once the platform fills them in."""
        return any(
            next(macros_in(self.normalised.get(field, "")), None) is not None for field in ("utm_source", "utm_medium")
        )

    def _self_referral(self) -> None:
        source = self.normalised.get("utm_source", "").lower().removeprefix("www.")
        own = {self._parsed.host.removeprefix("www."), *self._contract.own_hosts} - {""}
        if source in own:
            parameter = self.utm["utm_source"][0]
            self.findings.append(found("self_referral", "utm_source", parameter.value_at, parameter.value))

    def _landing_macro(self) -> None:
        """A template of a platform that replaces the landing page must have its macro, or a page of its own."""
        dialect = self._contract.rules.dialect
        if self._phase != "template" or dialect is None or not dialect.landing:
            return
        base = self._parsed.base
        if base and not any(f"{dialect.opens}{name}{dialect.closes}" in base for name in dialect.landing):
            expected = f"{dialect.opens}{dialect.landing[0]}{dialect.closes}"
            self.findings.append(found("landing_macro_missing", "url", 0, base, expected, rule_id="dialect"))
