"""Judging records: which contract a record falls under, what it says of it, and in which channel the record counts.

Open a `Judge` once per request or batch and ask it for each record. Contracts are kept per process and read again when one was
changed, or after a while (`known.py`): a batch costs at most one read of the tenant's contracts and one of the GLOBAL ones.

A record's contract is that of `ad_platform`, where it names one; else of the platform that lists its utm_source, as a value or
an alias; else of the platform of a click id that proves payment. Where none of these leads to an active contract only the
channel is told. A record that is judged again with the same tags costs two look-ups: verdicts are remembered by their tags.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from analytics.contracts import clicks
from analytics.contracts.channels import classify
from analytics.contracts.compiled import CompiledContract
from analytics.contracts.findings import Finding, Rewrite
from analytics.contracts.known import known_contracts
from analytics.contracts.model import Mode
from analytics.contracts.parameters import UTM_FIELD_SET, UTM_FIELDS, click_ids
from analytics.contracts.quick import Known, Quick, Tags
from analytics.contracts.store import global_context, is_global
from analytics.contracts.urls import ParsedUrl, host_of, parse_url
from analytics.contracts.validating import Report, named, validate
from northstar.context import RequestContext

Decision = Literal["accept", "quarantine", "block"]

AD_PLATFORM: Final = "ad_platform"
LANDING_URL: Final = "landing_url"
REFERRER: Final = "referrer"
CLICK_IDS: Final = "click_ids"
REMEMBERED: Final = 20_000
"""Verdicts that a place's contracts keep; then they begin anew."""
PLACES: Final = 1_000

_NO_URL: Final = ParsedUrl("", "", (), (), ())
_DECISIONS: Final[Mapping[str, Decision]] = {"quarantine": "quarantine", "block": "block"}
"""What a mode decides about a record with an error; the others accept it."""
_CLICK_NAMES: Final = frozenset({*click_ids(), CLICK_IDS})
_KEY: Final = (*UTM_FIELDS, AD_PLATFORM, LANDING_URL, REFERRER)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is kept of a record's attribution, beside its raw fields, which nobody changes.

    `contract_id`, `version`, `platform` and `mode` are None where no contract applies: then nothing is refused, and only the
    channel is told. `normalised` holds the utm fields as reports should count them, `rewrites` each repair that made them so;
    several records may share one verdict, so nobody changes what it holds.

    `click_ids` holds the click ids as the contract's retention lets them be kept: the id itself byte for byte, `sha256:<hex>`,
    or an empty text where only its presence may be kept; `landing_url` is the record's with its click ids kept so, None where
    it may stay as it came. `decision` is what the gate must do: only `quarantine` and `block` keep the record from being
    counted, and then `findings` has at least one error.
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
    landing_url: str | None = None


class Judge:
    """The contracts of one tenant and environment, as they were when the judge was opened."""

    def __init__(self, context: RequestContext) -> None:
        """Read the contracts, unless this process knows them.

        Raises BackendUnavailable when they can be neither read nor remembered.
        """
        shared = {} if is_global(context) else known_contracts(global_context(context))
        self._panel = _panel_of((context.tenant_id, context.env), known_contracts(context), shared)

    def judge(self, fields: Mapping[str, Any]) -> Verdict:
        """Judge one record.

        `fields` may hold the nine utm fields, click ids under their parameters' names (`gclid`, `fbclid`, …) or together in
        a mapping `click_ids`, `ad_platform`, `landing_url` (its parameters are judged, with positions in it; fields add those
        that it has not) and `referrer` (a host or URL, for the channel). Everything else is passed over. Values that are no
        texts count as missing.
        """
        return self._panel.judge(fields)

    def with_contract(self, contract: CompiledContract) -> "Judge":
        """Return a judge for whom this contract applies, whatever its status is, beside all others."""
        other = object.__new__(Judge)
        other._panel = self._panel.with_contract(contract)
        return other


def judge_record(context: RequestContext, fields: Mapping[str, Any]) -> Verdict:
    """Judge one record by itself. Who has many opens a Judge."""
    return Judge(context).judge(fields)


class Panel:
    """Contracts that judge together, and the verdicts that they have given."""

    def __init__(self, own: Mapping[str, CompiledContract], shared: Mapping[str, CompiledContract]) -> None:
        self.own: Final = own
        self.shared: Final = shared
        self._contracts: Final[dict[str, CompiledContract]] = {**shared, **own}
        self._by_source: Final = _sources(self._contracts)
        self._quick: Final = {platform: Quick(contract) for platform, contract in self._contracts.items()}
        self._verdicts: Final[dict[tuple[Any, ...], Verdict]] = {}

    def judge(self, fields: Mapping[str, Any]) -> Verdict:
        """As that of `Judge`."""
        if not _CLICK_NAMES.isdisjoint(fields):
            return self._judge(fields)
        key = tuple(map(fields.get, _KEY))
        try:
            verdict = self._verdicts.get(key)
        except TypeError:  # a value that is no text, and cannot be looked up
            return self._judge(fields)
        if verdict is None:
            verdict = self._judge(fields)
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict

    def with_contract(self, contract: CompiledContract) -> "Panel":
        """Return a panel in which this contract has its platform's place."""
        return Panel({**self.own, contract.contract.platform: contract}, self.shared)

    def _judge(self, fields: Mapping[str, Any]) -> Verdict:
        url = _text(fields, LANDING_URL)
        parsed = _with_fields(parse_url(url), fields) if url else None
        tags = _tags(parsed) if parsed else _tags_of(fields)
        contract = self._chosen(_text(fields, AD_PLATFORM), tags)
        judged = contract is not None and contract.contract.mode != "off"
        quick = self._quick[contract.contract.platform] if contract and judged else None
        plain = parsed is None or _is_whole(parsed, tags)
        if contract and quick and plain and (known := quick.known(tags)):
            return _as_known(contract, tags, known, _kept_url(contract, url, parsed))
        parsed = parsed or ParsedUrl("", "", named({**tags.utm, **tags.clicks}), (), ())
        referrer = _text(fields, REFERRER)
        if contract is None or quick is None:
            return _unjudged(contract, parsed, referrer, _kept_url(contract, url, parsed))
        report = validate(contract, parsed, "landing", referrer=referrer)
        if plain and not report.rewrites:
            quick.remember(tags, Known(report.channel, report.findings, report.valid))
        return _judged(contract, report, _kept_url(contract, url, parsed))

    def _chosen(self, platform: str, tags: Tags) -> CompiledContract | None:
        """Return the contract that a record falls under."""
        if platform:
            return self._contracts.get(platform)
        source = tags.utm.get("utm_source")
        found = self._by_source.get(source) or self._by_source.get(source.strip().lower()) if source else None
        if found or not tags.clicks:
            return found
        known = (click_ids()[name] for name in tags.clicks)
        return next(
            (self._contracts[one.platform] for one in known if one.proof == "paid" and one.platform in self._contracts),
            None,
        )


def _sources(contracts: Mapping[str, CompiledContract]) -> dict[str, CompiledContract]:
    """Return the contract of each utm_source, in lower case; where two list one source, the one whose platform sorts first."""
    found: dict[str, CompiledContract] = {}
    for platform in sorted(contracts, reverse=True):
        found |= dict.fromkeys(contracts[platform].sources, contracts[platform])
    return found


_panels: Final[dict[tuple[str, str], Panel]] = {}


def _panel_of(
    place: tuple[str, str], own: Mapping[str, CompiledContract], shared: Mapping[str, CompiledContract]
) -> Panel:
    panel = _panels.get(place)
    if panel is None or panel.own is not own or panel.shared is not shared:
        if len(_panels) >= PLACES:
            _panels.clear()
        panel = _panels[place] = Panel(own, shared)
    return panel


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _with_fields(parsed: ParsedUrl, fields: Mapping[str, Any]) -> ParsedUrl:
    """Return what was read of a URL, with the fields that it does not have."""
    there = {parameter.name for parameter in parsed.parameters}
    given = {name: value for name in UTM_FIELDS if isinstance(value := fields.get(name), str)}
    if not _CLICK_NAMES.isdisjoint(fields):
        given |= _clicks_in(fields)
    added = named({name: value for name, value in given.items() if name not in there})
    return ParsedUrl(parsed.base, parsed.host, (*parsed.parameters, *added), parsed.findings, parsed.rewrites)


def _tags(parsed: ParsedUrl) -> Tags:
    """Return what was read of a URL as tags, the first of each."""
    utm: dict[str, str] = {}
    found: dict[str, str] = {}
    for parameter in parsed.parameters:
        if click := click_ids().get(parameter.name):
            found.setdefault(click.parameter, parameter.value)
        elif parameter.name in UTM_FIELD_SET:
            utm.setdefault(parameter.name, parameter.value)
    return Tags(utm, found, parsed.host)


def _is_whole(parsed: ParsedUrl, tags: Tags) -> bool:
    """Whether the tags say all that there is to a URL: nothing stands twice, and nothing was written wrongly."""
    return not parsed.findings and len(parsed.parameters) == len(tags.utm) + len(tags.clicks)


def _tags_of(fields: Mapping[str, Any]) -> Tags:
    """Return a record's own fields as tags."""
    get = fields.get
    utm = {name: value for name in UTM_FIELDS if type(value := get(name)) is str}
    if _CLICK_NAMES.isdisjoint(fields):
        return Tags(utm, {}, "")
    return Tags(utm, {click_ids()[name].parameter: value for name, value in _clicks_in(fields)}, "")


def _clicks_in(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    together = fields.get(CLICK_IDS)
    given = {**together, **fields} if isinstance(together, Mapping) else fields
    names = click_ids().keys() & given.keys()
    return ((name, value) for name in sorted(names) if isinstance(value := given[name], str))


def _kept_url(contract: CompiledContract | None, url: str, parsed: ParsedUrl | None) -> str | None:
    """Return the landing URL as it may be kept; None where it may stay as it came."""
    return clicks.kept_url(contract, url, parsed.parameters) if contract and url and parsed else None


def _unjudged(contract: CompiledContract | None, parsed: ParsedUrl, referrer: str, landing_url: str | None) -> Verdict:
    """Return the verdict where no contract looks at the values: the channel, and the values trimmed."""
    utm = {one.name: one.value.strip() for one in reversed(parsed.parameters) if one.name in UTM_FIELDS}
    found = {one.name: one.value for one in parsed.parameters if one.name in click_ids()}
    known = [click_ids()[name] for name in found]
    host = host_of(referrer) if referrer else ""
    channel = classify(utm, clicks=known, referrer_host=host, own_host=parsed.host)
    of = contract.contract if contract else None
    return Verdict(
        of.contract_id if of else None,
        of.version if of else None,
        of.mode if of else None,
        "accept",
        (),
        channel.name,
        channel.rule,
        {name: value for name, value in utm.items() if value},
        (),
        of.platform if of else None,
        clicks.kept(contract, found) or None,
        landing_url,
    )


def _as_known(contract: CompiledContract, tags: Tags, known: Known, landing_url: str | None) -> Verdict:
    of, channel = contract.contract, known.channel
    return Verdict(
        of.contract_id,
        of.version,
        of.mode,
        "accept" if known.valid else _DECISIONS.get(of.mode, "accept"),
        known.findings,
        channel.name,
        channel.rule,
        tags.utm,
        (),
        of.platform,
        clicks.kept(contract, tags.clicks) if tags.clicks else None,
        landing_url,
    )


def _judged(contract: CompiledContract, report: Report, landing_url: str | None) -> Verdict:
    of = contract.contract
    decision = "accept" if report.valid else _DECISIONS.get(of.mode, "accept")
    return Verdict(
        of.contract_id,
        of.version,
        of.mode,
        decision,
        report.findings,
        report.channel.name,
        report.channel.rule,
        report.normalised,
        report.rewrites,
        of.platform,
        clicks.kept(contract, report.clicks) or None,
        landing_url,
    )
