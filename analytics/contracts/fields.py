"""Judging the values of one field: flaws of the value itself, macros, then what the contract's rule says."""

from difflib import get_close_matches
from typing import Final

from analytics.contracts.compiled import CompiledContract, CompiledField
from analytics.contracts.findings import Finding, Rewrite, Severity, found
from analytics.contracts.macros import Macro, Phase, macros_in, opinion
from analytics.contracts.model import VALUE_CHARACTERS, FieldRule
from analytics.contracts.urls import Parameter
from analytics.contracts.values import flaws, masked, personal_data

LISTED: Final = 12
"""Allowed values that a finding names."""
_ENCODED_BRACES: Final = ("%7b", "%7d")


class FieldCheck:
    """Judges the values of one field, and remembers what it found."""

    def __init__(self, contract: CompiledContract, field: str, phase: Phase) -> None:
        self.field: Final = field
        self.findings: list[Finding] = []
        self.rewrites: list[Rewrite] = []
        self._contract = contract
        self._phase: Phase = phase
        self._compiled: CompiledField | None = contract.fields.get(field)

    @property
    def rule(self) -> FieldRule | None:
        """The contract's rule of the field, if it has one."""
        return self._compiled.rule if self._compiled else None

    def value(self, parameter: Parameter) -> str:
        """Judge one value and return it as it should count; empty where it means nothing."""
        if self._is_forbidden(parameter):
            return parameter.value.strip()
        if len(parameter.value) > VALUE_CHARACTERS:
            self._tell("value_too_long", parameter, VALUE_CHARACTERS, f"up to {VALUE_CHARACTERS} characters")
            return parameter.value[:VALUE_CHARACTERS]
        value = self._flaws(parameter)
        if not value:
            return ""
        if (start := personal_data(value)) is not None:
            place = parameter.at(max(parameter.value.find(value[start:]), 0))
            self.findings.append(found("personal_data", self.field, place, masked(value, start)))
        macros = list(macros_in(value))
        if macros:
            self._macros(parameter, value, macros)
            return value
        return self._by_rule(parameter, value)

    def _is_forbidden(self, parameter: Parameter) -> bool:
        forbidden = self.rule.presence == "forbidden" if self.rule else self._contract.rules.other_fields == "forbid"
        if forbidden:
            allowed = ", ".join(
                field for field, one in self._contract.fields.items() if one.rule.presence != "forbidden"
            )
            rule_id = self.rule.rule_id if self.rule else "other_fields"
            self.findings.append(
                found("field_forbidden", self.field, parameter.name_at, parameter.value, allowed, rule_id=rule_id)
            )
        return forbidden

    def _flaws(self, parameter: Parameter) -> str:
        """Tell each flaw, and return the value without them; empty where nothing is left to judge."""
        value = parameter.value
        for flaw in flaws(value):
            place = parameter.at(flaw.index)
            self.findings.append(found(flaw.code, self.field, place, parameter.value, flaw.repaired or ""))
            if flaw.repaired is None:
                return ""
            self.rewrites.append(Rewrite(self.field, flaw.code, value, flaw.repaired))
            value = flaw.repaired
        return value

    def _macros(self, parameter: Parameter, value: str, macros: list[Macro]) -> None:
        platform = self._contract.contract.platform
        for macro in macros:
            place = parameter.at(max(parameter.value.find(macro.text), 0))
            if _is_encoded(parameter, macro):
                self.findings.append(
                    found("encoded_macro", self.field, place, parameter.raw, macro.text, rule_id="dialect")
                )
            elif wrong := opinion(macro, self._contract.rules.dialect, platform, self._phase):
                told = found(
                    wrong.code, self.field, place, macro.text, wrong.expected, hint=wrong.hint, rule_id="dialect"
                )
                self.findings.append(told)
        if self._phase == "template":
            self._expected_macro(parameter, value)

    def _expected_macro(self, parameter: Parameter, value: str) -> None:
        """With an enum a macro may stand for a value only where the rule says so."""
        rule = self.rule
        if rule is None or rule.kind != "enum" or any(macro in value for macro in rule.macros):
            return
        self._tell("value_not_allowed", parameter, 0, _listed(rule))

    def _by_rule(self, parameter: Parameter, value: str) -> str:
        compiled = self._compiled
        if compiled is None:
            return value
        rule = compiled.rule
        if rule.kind == "enum":
            return self._allowed(parameter, value, compiled)
        if rule.kind == "macro" and self._phase == "template":
            self.findings.append(
                found(
                    "macro_expected",
                    self.field,
                    parameter.value_at,
                    value,
                    " or ".join(rule.macros),
                    rule_id=rule.rule_id,
                )
            )
        value = self._cased(parameter, value, rule)
        if len(value) > rule.max_length:
            self._tell("value_too_long", parameter, rule.max_length, f"up to {rule.max_length} characters")
        if len(value) < rule.min_length:
            self._tell("value_too_short", parameter, 0, f"at least {rule.min_length} characters")
        for pattern, expected in ((compiled.charset, f"only {rule.charset}"), (compiled.pattern, rule.pattern)):
            if pattern is not None and (index := pattern.mismatch(value)) is not None:
                offset = max(parameter.value.find(value), 0)
                self._tell("pattern_mismatch", parameter, offset + index, expected)
        return value

    def _cased(self, parameter: Parameter, value: str, rule: FieldRule) -> str:
        if rule.case != "lower" or value == value.lower():
            return value
        index = next(index for index, one in enumerate(value) if one != one.lower())
        offset = max(parameter.value.find(value), 0)
        self._tell("case_mismatch", parameter, offset + index, value.lower(), severity=Severity.WARN)
        self.rewrites.append(Rewrite(self.field, "case_mismatch", value, value.lower()))
        return value.lower()

    def _allowed(self, parameter: Parameter, value: str, compiled: CompiledField) -> str:
        """Return the allowed value that this one is, or means."""
        if value in compiled.exact:
            return value
        meant = compiled.aliases.get(value) or compiled.folded.get(value.lower())
        if meant is None:
            near = get_close_matches(value.lower()[:100], compiled.folded, n=1)
            hint = f"Did you mean {compiled.folded[near[0]]}?" if near else ""
            self._tell("value_not_allowed", parameter, 0, _listed(compiled.rule), hint=hint)
            return value
        code = "case_mismatch" if value.lower() == meant.lower() else "alias_used"
        if code == "case_mismatch" and compiled.rule.case == "exact":
            self._tell(code, parameter, 0, meant)
            return value
        self._tell(code, parameter, 0, meant, severity=Severity.WARN)
        self.rewrites.append(Rewrite(self.field, code, value, meant))
        return meant

    def _tell(
        self,
        code: str,
        parameter: Parameter,
        index: int,
        expected: str,
        *,
        hint: str = "",
        severity: Severity | None = None,
    ) -> None:
        rule = self.rule
        told = found(
            code,
            self.field,
            parameter.at(index),
            parameter.value,
            expected,
            severity=severity or (rule.severity if rule else None),
            hint=(rule.hint or rule.message if rule else "") or hint,
            rule_id=rule.rule_id if rule else "value",
        )
        self.findings.append(told)


def _is_encoded(parameter: Parameter, macro: Macro) -> bool:
    """Whether the platform saw percent signs where its delimiters belong."""
    if not macro.opens.startswith("{") or macro.text in parameter.raw or not parameter.raw:
        return False
    return any(brace in parameter.raw.lower() for brace in _ENCODED_BRACES)


def _listed(rule: FieldRule) -> str:
    values = [one.value for one in rule.values]
    more = f" and {len(values) - LISTED} more" if len(values) > LISTED else ""
    return ", ".join(values[:LISTED]) + more
