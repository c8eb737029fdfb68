"""Findings: what is wrong with campaign parameters, where, what was expected and how to fix it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GOT_CHARACTERS: Final = 200
"""Of an offending value that a finding repeats."""


class Severity(StrEnum):
    """How bad a finding is. Only an error makes parameters invalid."""

    ERROR = "error"
    WARN = "warn"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    `position` is the index of the first offending character: in the URL where one was given, else in the field's value; None
    where something is missing. `rule_id` names the rule of the contract that was broken, or `parse` and `value` for what is
    wrong whatever the contract says.
    """

    code: str
    field: str
    position: int | None
    got: str
    expected: str
    severity: Severity
    hint: str
    rule_id: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A repair that the normalised value has and the raw one has not. `rewrite` is the code of the finding that it answers."""

    field: str
    rewrite: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What a code means: its usual severity, one sentence, and what to do."""

    severity: Severity
    meaning: str
    hint: str


_E, _W, _I = Severity.ERROR, Severity.WARN, Severity.INFO

CODES: Final[Mapping[str, Explained]] = {
    "alias_used": Explained(_W, "The value is another spelling of an allowed one.", "Send the canonical value."),
    "ambiguous_plus": Explained(
        _W, "A plus sign stands for a space here and for itself elsewhere.", "Write a space as %20 and a plus as %2B."
    ),
    "case_mismatch": Explained(_W, "The value is an allowed one but for its case.", "Use exactly the allowed case."),
    "channel_mismatch": Explained(
        _E, "Source and medium lead to another channel than the contract says.", "Correct utm_source or utm_medium."
    ),
    "click_id_malformed": Explained(
        _W,
        "The click id holds what no platform writes.",
        "Hand click ids on byte for byte; never decode or re-case them.",
    ),
    "click_id_without_utm": Explained(
        _W, "A click id came without any utm parameter.", "Tag the ad's URL: the click id alone names no campaign."
    ),
    "condition_failed": Explained(_E, "Fields contradict one another.", "Correct one of them."),
    "conflicting_key": Explained(
        _E,
        "The parameter stands more than once with different values.",
        "Keep one. Static tags on the ad often meet dynamic ones.",
    ),
    "double_encoding": Explained(_E, "The value is percent-encoded twice.", "Encode once."),
    "duplicate_key": Explained(_W, "The parameter stands more than once with the same value.", "Keep one."),
    "empty_value": Explained(_E, "The parameter has no value.", "Give it one, or leave it out."),
    "encoded_macro": Explained(
        _E, "The macro's delimiters are percent-encoded, so the platform cannot see it.", "Paste the macro unencoded."
    ),
    "exclusive_click_ids": Explained(
        _W, "Click ids came together of which a click has one.", "Hand on each as it came; report one alone."
    ),
    "field_forbidden": Explained(
        _E, "The contract does not allow this parameter.", "Remove it, or allow it in the contract."
    ),
    "field_missing": Explained(_E, "The contract requires this parameter.", "Add it."),
    "foreign_click_id": Explained(
        _E, "The click id is of another platform than the tags.", "Give each platform a URL of its own."
    ),
    "foreign_macro": Explained(_E, "The macro is of another platform.", "Use this platform's macro."),
    "invalid_utf8": Explained(_E, "The percent-encoded bytes are no UTF-8.", "Encode the value as UTF-8."),
    "invisible_character": Explained(
        _E,
        "The value holds a control, zero-width or byte-order character.",
        "Type the value again instead of pasting it.",
    ),
    "key_not_lowercase": Explained(
        _E, "The parameter's name is not lower-case, so most tools do not see it.", "Write it in lower case."
    ),
    "landing_macro_missing": Explained(
        _W, "A template above the ad's level must hold the landing page's macro.", "Begin the template with the macro."
    ),
    "macro_expected": Explained(_W, "The template should fill this field by a macro.", "Use the expected macro."),
    "misspelt_macro": Explained(_E, "The platform has no such macro.", "Use the name that the platform documents."),
    "outer_whitespace": Explained(_W, "The value begins or ends with white space.", "Remove it."),
    "paid_without_click_id": Explained(
        _W, "The tags claim a paid click, and the platform's click id is missing.", "Check auto-tagging and redirects."
    ),
    "pattern_mismatch": Explained(_E, "The value does not match the contract's pattern.", "Follow the pattern."),
    "personal_data": Explained(
        _E, "The value looks like an e-mail address or a telephone number.", "Never put personal data into a URL."
    ),
    "retired_macro": Explained(_E, "The platform has retired this macro.", "Use its replacement."),
    "second_question_mark": Explained(
        _E, "Parameters were glued to a value with a second question mark.", "Join parameters with &."
    ),
    "self_referral": Explained(_E, "The source is the site itself.", "Do not tag links within your own site."),
    "sentinel_value": Explained(
        _E, "The value is what programs write for a missing one.", "Leave the parameter out where there is no value."
    ),
    "unexpanded_macro": Explained(
        _E,
        "The platform did not replace its macro.",
        "Previews and shared ads show macros; check where the tag is set.",
    ),
    "unknown_utm_field": Explained(_E, "There is no such utm parameter.", "Use one of the nine utm parameters."),
    "url_too_long": Explained(_E, "The URL is too long to be judged.", "Shorten it."),
    "utm_in_fragment": Explained(
        _E, "Campaign parameters stand behind the #, where no server sees them.", "Put the fragment last."
    ),
    "value_not_allowed": Explained(_E, "The contract does not allow this value.", "Use an allowed value."),
    "value_too_long": Explained(_E, "The value is longer than the contract allows.", "Shorten it."),
    "value_too_short": Explained(_E, "The value is shorter than the contract allows.", "Use the whole name."),
    "wrong_separator": Explained(
        _E,
        "Parameters are joined by a semicolon or &amp; instead of &, or begin with no question mark.",
        "Begin parameters with ? and join them with a plain &.",
    ),
}
"""Every code that a finding can have. Codes are stable: callers branch on them."""


def found(
    code: str,
    field: str,
    position: int | None,
    got: str,
    expected: str = "",
    *,
    severity: Severity | None = None,
    hint: str = "",
    rule_id: str = "value",
) -> Finding:
    """Return a finding with the code's own severity and hint where none is given."""
    explained = CODES[code]
    return Finding(
        code,
        field,
        position,
        got[:GOT_CHARACTERS],
        expected,
        severity or explained.severity,
        hint or explained.hint,
        rule_id,
    )
