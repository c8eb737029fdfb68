"""A contract made ready to judge: look-ups by field and value, and patterns worked out once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from analytics.contracts.model import AttributionContract, ClickIdRule, FieldRule, Retention
from analytics.contracts.parameters import ClickId, click_ids
from analytics.contracts.patterns import Pattern, compile_pattern


@dataclass(frozen=True, slots=True)
class CompiledField:
    """A field's rule with what its values mean: `exact`, `aliases`, and `folded` in lower case, each to the allowed value."""

    rule: FieldRule
    exact: frozenset[str]
    aliases: Mapping[str, str]
    folded: Mapping[str, str]
    pattern: Pattern | None
    charset: Pattern | None

    @classmethod
    def of(cls, rule: FieldRule) -> "CompiledField":
        aliases = {alias: one.value for one in rule.values for alias in one.aliases}
        folded = {alias.lower(): value for alias, value in aliases.items()}
        folded |= {one.value.lower(): one.value for one in rule.values}
        return cls(
            rule,
            frozenset(one.value for one in rule.values),
            aliases,
            folded,
            compile_pattern(rule.pattern) if rule.pattern else None,
            compile_pattern(f"[{rule.charset}]*") if rule.charset else None,
        )


class CompiledContract:
    """A contract as the validator reads it."""

    def __init__(self, contract: AttributionContract) -> None:
        self.contract: Final = contract
        self.rules: Final = contract.rules
        self.fields: Final = {rule.field: CompiledField.of(rule) for rule in contract.rules.fields}
        self.clicks: Final[dict[str, ClickIdRule]] = {rule.parameter: rule for rule in contract.rules.click_ids}
        self.own_hosts: Final = frozenset(host.lower().removeprefix("www.") for host in contract.rules.own_hosts)

    @cached_property
    def sources(self) -> frozenset[str]:
        """What utm_source may be, in lower case, for this contract to be the one that judges."""
        known = self.fields.get("utm_source")
        return frozenset(known.folded) if known else frozenset()

    def is_own(self, click: ClickId) -> bool:
        """Whether the click id is one of this platform's."""
        return click.platform == self.contract.platform or click.parameter in self.clicks

    def retention(self, parameter: str) -> Retention:
        """How a click id of this parameter may be kept."""
        known = click_ids().get(parameter)
        rule = self.clicks.get(known.parameter if known else parameter)
        return rule.retention if rule else self.rules.click_id_retention
