"""What an attribution contract says: a rule per field, rules across fields, click ids, the platform's macros, and its mode.

The rules of an active version never change; another version is another contract. `mode`, `status` and the time of validity
are how a version is used, and may.
"""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from analytics.contracts.findings import CODES, Severity
from analytics.contracts.parameters import UTM_FIELD_SET, Proof, click_ids, utm_name
from analytics.contracts.patterns import BadPattern, compile_pattern

PLATFORM: Final = r"[a-z][a-z0-9_]{0,62}"
VALUE_CHARACTERS: Final = 2_048
"""Of one value that is judged; a longer one is too long whatever the contract says."""

Mode = Literal["off", "observe", "warn", "quarantine", "block"]
Status = Literal["draft", "active", "retired"]
Retention = Literal["keep", "hash", "presence"]
Level = Literal["error", "warn", "info", "off"]
_VERSION: Final = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?", re.ASCII)


def _utm_field(name: str) -> str:
    if utm_name(name) not in UTM_FIELD_SET:
        raise ValueError(f"There is no such utm field. Use one of: {', '.join(sorted(UTM_FIELD_SET))}.")
    return utm_name(name)


def _parameter(name: str) -> str:
    return name if name in click_ids() else _utm_field(name)


def _pattern(source: str) -> str:
    try:
        compile_pattern(source)
    except BadPattern as error:
        raise ValueError(str(error)) from None
    return source


def _charset(source: str) -> str:
    if source:
        _pattern(f"[{source}]*")
    return source


def _code(name: str) -> str:
    if name not in CODES:
        raise ValueError("There is no finding of this code.")
    return name


def _version(given: Any) -> str:
    match = _VERSION.fullmatch(str(given)) if isinstance(given, str | int) and not isinstance(given, bool) else None
    if match is None:
        raise ValueError("Send a version such as 1.2.0.")
    return ".".join(str(int(part or 0)) for part in match.groups())


Text = Annotated[str, Field(max_length=500)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
UtmField = Annotated[str, Field(max_length=64), AfterValidator(_utm_field)]
Parameter = Annotated[str, Field(max_length=64), AfterValidator(_parameter)]
Version = Annotated[str, BeforeValidator(_version)]
"""A semantic version. `1`, `v1` and `1.0` are other spellings of `1.0.0`, which is what is kept."""


class Part(BaseModel):
    """Unknown names are refused, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AllowedValue(Part):
    """A value that a field may have. Aliases mean the same; they are told, and normalised to it."""

    value: Word
    aliases: tuple[Word, ...] = ()


class Condition(Part):
    """A field, and values that it has; without values, that it is there."""

    field: Parameter
    values: tuple[Word, ...] = ()


class FieldRule(Part):
    """What one field must look like. `template` is what the generated URL template has for it."""

    field: UtmField
    presence: Literal["required", "required_if", "optional", "forbidden"] = "optional"
    required_if: Condition | None = None
    kind: Literal["enum", "pattern", "macro", "free"] = "free"
    values: tuple[AllowedValue, ...] = Field(default=(), max_length=1000)
    pattern: Annotated[str, AfterValidator(_pattern)] = ""
    charset: Annotated[str, AfterValidator(_charset)] = Field(
        default="", description="As inside a character class, such as a-z0-9_-; empty: any character."
    )
    min_length: Annotated[int, Field(ge=0, le=VALUE_CHARACTERS)] = 0
    max_length: Annotated[int, Field(ge=1, le=VALUE_CHARACTERS)] = 500
    case: Literal["exact", "lower", "preserve"] = "preserve"
    max_occurrences: Annotated[int, Field(ge=1, le=100)] = 1
    macros: tuple[Word, ...] = Field(
        default=(),
        description="With kind macro: the template has one of them. With enum: it may have one instead of a value.",
    )
    template: Text = ""
    example: Text = ""
    severity: Severity = Severity.ERROR
    message: Text = ""
    hint: Text = ""

    @model_validator(mode="after")
    def _whole(self) -> "FieldRule":
        if self.kind == "enum" and not self.values:
            raise ValueError("An enum needs values.")
        if self.kind == "pattern" and not self.pattern:
            raise ValueError("The kind pattern needs a pattern.")
        if (self.presence == "required_if") != (self.required_if is not None):
            raise ValueError("required_if goes with the presence required_if.")
        if self.min_length > self.max_length:
            raise ValueError("min_length is greater than max_length.")
        spellings = [text for one in self.values for text in (one.value, *one.aliases)]
        if len(set(spellings)) < len(spellings):
            raise ValueError("A value or alias stands twice.")
        return self

    @property
    def rule_id(self) -> str:
        """How findings name the rule."""
        return f"field:{self.field}"


class CrossFieldRule(Part):
    """What fields must have in common.

    implies: where `when` holds, `then` must. excludes: both must not hold. equals: the two fields have one value where both
    are there. channel: where `when` holds, or always, the channel is one of `channels`.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    kind: Literal["implies", "excludes", "equals", "channel"]
    when: Condition | None = None
    then: Condition | None = None
    channels: tuple[Word, ...] = ()
    severity: Severity = Severity.ERROR
    message: Text = ""
    hint: Text = ""

    @model_validator(mode="after")
    def _whole(self) -> "CrossFieldRule":
        if self.kind == "channel" and not self.channels:
            raise ValueError("A channel rule needs channels.")
        if self.kind != "channel" and (self.when is None or self.then is None):
            raise ValueError(f"A rule of kind {self.kind} needs when and then.")
        return self

    @property
    def rule_id(self) -> str:
        """How findings name the rule."""
        return f"cross:{self.id}"


class ClickIdRule(Part):
    """How a click id of the platform is read and kept. `expected`: the platform adds it to every paid click."""

    parameter: Annotated[str, Field(min_length=1, max_length=64)]
    proof: Proof = "paid"
    expected: bool = False
    group: Annotated[str, Field(max_length=64)] = Field(
        default="", description="A click has one id of a group; see `beside` for those that may come together."
    )
    beside: tuple[Word, ...] = ()
    retention: Retention = "keep"
    ttl_days: Annotated[int | None, Field(ge=1, le=3650)] = None

    @property
    def rule_id(self) -> str:
        """How findings name the rule."""
        return f"click_id:{self.parameter}"


class MacroDialect(Part):
    """How the platform writes its macros. Without delimiters a macro is the whole value."""

    opens: Annotated[str, Field(max_length=4)] = ""
    closes: Annotated[str, Field(max_length=4)] = ""
    names: tuple[Word, ...] = ()
    functions: tuple[Word, ...] = Field(
        default=(), description="Names before a colon, such as ifmobile in {ifmobile:x}."
    )
    custom_prefix: Annotated[str, Field(max_length=4)] = Field(
        default="", description="Begins the names of macros that an account defines itself."
    )
    landing: tuple[Word, ...] = Field(default=(), description="Names that stand for the landing page.")
    retired: dict[str, str] = Field(default_factory=dict, description="Names that expand no more, with what to use.")
    mistakes: dict[str, str] = Field(default_factory=dict, description="Names that people write, with what to use.")
    case_sensitive: bool = True


class Rules(Part):
    """The rules of a contract: what its checksum covers, and what never changes once a version is active."""

    fields: tuple[FieldRule, ...] = Field(default=(), max_length=len(UTM_FIELD_SET))
    other_fields: Literal["allow", "forbid"] = "allow"
    cross_fields: tuple[CrossFieldRule, ...] = Field(default=(), max_length=100)
    click_ids: tuple[ClickIdRule, ...] = Field(default=(), max_length=50)
    click_id_retention: Retention = Field(default="keep", description="For click ids that no rule names.")
    dialect: MacroDialect | None = None
    severities: dict[Annotated[str, AfterValidator(_code)], Level] = Field(
        default_factory=dict, description="Another severity for findings of a code; off: they are not told."
    )
    own_hosts: tuple[Word, ...] = Field(default=(), description="The site's own hosts: none of them is a source.")

    @model_validator(mode="after")
    def _whole(self) -> "Rules":
        _refuse_twice("fields", [rule.field for rule in self.fields])
        _refuse_twice("cross_fields", [rule.id for rule in self.cross_fields])
        _refuse_twice("click_ids", [rule.parameter for rule in self.click_ids])
        return self

    @property
    def template(self) -> dict[str, str]:
        """Return what the URL template has for each field that it fills."""
        return {rule.field: text for rule in self.fields if (text := template_text(rule))}

    @property
    def allowed_fields(self) -> list[str]:
        """Return the fields that may come beside those of the template."""
        return [rule.field for rule in self.fields if rule.presence != "forbidden" and not template_text(rule)]

    def checksum(self) -> str:
        """Return the SHA-256 of the rules as canonical JSON: two versions of one checksum judge alike."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return sha256(content.encode()).hexdigest()


def _refuse_twice(what: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError(f"{what} has two rules of one name.")


class Parent(Part):
    """The GLOBAL version that a tenant's contract was made from."""

    contract_id: str
    version: str


class AttributionContract(Part):
    """One version of the contract of a platform, for a tenant, or for all (tenant `t_system`: GLOBAL)."""

    contract_id: str
    tenant_id: str
    platform: Annotated[str, Field(pattern=f"^{PLATFORM}$")]
    version: Version
    status: Status
    mode: Mode
    rules: Rules
    checksum: str
    notes: Annotated[str, Field(max_length=10_000)] = ""
    parent: Parent | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @property
    def template(self) -> dict[str, str]:
        """As that of the rules."""
        return self.rules.template

    @property
    def allowed_fields(self) -> list[str]:
        """As those of the rules."""
        return self.rules.allowed_fields

    def applies_at(self, moment: datetime) -> bool:
        """Whether records of this moment are judged by it."""
        begun = self.valid_from is None or self.valid_from <= moment
        return self.status == "active" and begun and (self.valid_to is None or moment < self.valid_to)


def template_text(rule: FieldRule) -> str:
    """Return what the template has for a field; empty where it leaves the field to whoever makes the ad."""
    if rule.presence == "forbidden":
        return ""
    if rule.template or rule.kind not in {"enum", "macro"}:
        return rule.template
    if rule.kind == "macro":
        return next(iter(rule.macros), "")
    return rule.values[0].value if rule.presence == "required" else ""


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are ordered by."""
    return tuple(int(part) for part in version.split("."))


def next_version(versions: Iterable[str]) -> str:
    """Return the version after the highest: its minor number goes up; 1.0.0 where there is none."""
    highest = max(map(version_key, versions), default=None)
    return "1.0.0" if highest is None else f"{highest[0]}.{highest[1] + 1}.0"
