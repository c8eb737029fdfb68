"""Judging records: which contract a record falls under, what it says of it, and in which channel the record counts.

Open a `Judge` once per request or batch and ask it for each record. Contracts are kept per process and read again when one was
changed, or after FRESH_SECONDS: a batch costs at most one read per store that has to be asked (the tenant's, and t_system's).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analytics.contracts.findings import Finding, Rewrite
from northstar.context import RequestContext

Mode = Literal["off", "observe", "warn", "quarantine", "block"]
Decision = Literal["accept", "quarantine", "block"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is kept of a record's attribution, beside its raw fields, which nobody changes.

    `contract_id`, `version`, `platform` and `mode` are None where no contract applies: then nothing is refused, and only the
    channel is told. `normalised` holds the utm fields as reports should count them, `rewrites` each repair that made them so.
    `click_ids` holds the click ids as the contract's retention lets them be kept: the id itself byte for byte, `sha256:<hex>`,
    or an empty text where only its presence may be kept. `decision` is what the gate must do: only `quarantine` and `block`
    keep the record from being counted, and then `findings` has at least one error.
    """

    contract_id: str | None
    version: str | None
    mode: Mode | None
    decision: Decision
    findings: tuple[Finding, ...]
    channel: str
    channel_rule: str
    normalised: Mapping[str, str]
    rewrites: tuple[Rewrite, ...]
    platform: str | None = None
    click_ids: Mapping[str, str] | None = None


class Judge:
    """The contracts of one tenant and environment, as they were when the judge was opened."""

    def __init__(self, context: RequestContext) -> None:
        """Read the contracts, unless this process knows them. Raises BackendUnavailable when they can be neither read nor remembered."""
        self.context = context

    def judge(self, fields: Mapping[str, Any]) -> Verdict:
        """Judge one record.

        `fields` may hold the nine utm fields, click ids under their parameters' names (`gclid`, `fbclid`, …) or together in
        a mapping `click_ids`, `ad_platform` (which contract; else utm_source says, else a click id that proves payment),
        `landing_url` (then its own parameters are judged, with positions in it, and the fields add to them) and `referrer`
        (a host or URL, for the channel). Everything else is passed over. Values that are no texts count as missing.
        """
        return Verdict(None, None, None, "accept", (), "Unassigned", "channels-1:unassigned", {}, ())


def judge_record(context: RequestContext, fields: Mapping[str, Any]) -> Verdict:
    """Judge one record by itself. Who has many opens a Judge."""
    return Judge(context).judge(fields)
