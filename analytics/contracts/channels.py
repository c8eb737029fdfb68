"""Channels: in which default channel group a click counts, by Google Analytics 4's order of rules for manual tags.

Rules are versioned, and each answer names its rule. Google's list of source categories is not ours to ship: `data/sources.json`
is a list of our own, with its date. Clicks of linked Ads accounts carry network fields that nobody else sees, so the
cross-network channel is told only where the campaign's name says it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from analytics.contracts.parameters import ClickId, shipped

CHANNELS_VERSION: Final = "ga4-1"
"""Of the rules. With another order or another rule it becomes another version, and stored rule ids keep their meaning."""

UNASSIGNED: Final = "Unassigned"
DIRECT: Final = "Direct"

_SHOP: Final = re.compile(r"(?:^|[^a-df-z])shop|shopping")
_EMAIL: Final = frozenset({"email", "e-mail", "e_mail", "e mail"})
_NOTHING: Final = frozenset({"", "(none)", "(not set)"})
_DISPLAY: Final = frozenset({"display", "banner", "expandable", "interstitial", "cpm"})
_SOCIAL: Final = frozenset({"social", "social-network", "social-media", "sm", "social network", "social media"})
_REFERRAL: Final = frozenset({"referral", "app", "link"})


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel and the rule that chose it, such as `ga4-1:04`."""

    name: str
    rule: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the rules look at, in lower case. `category` is that of the source: search, social, video, shopping or empty."""

    source: str
    medium: str
    campaign: str
    category: str

    @property
    def paid(self) -> bool:
        """Whether the medium says that the click was paid for."""
        medium = self.medium
        return "cp" in medium or medium in {"ppc", "retargeting"} or medium.startswith("paid")

    @property
    def shop(self) -> bool:
        """Whether the source or the campaign is about shopping."""
        return self.category == "shopping" or _SHOP.search(self.campaign) is not None


Test = Callable[[Traffic], bool]

RULES: Final[tuple[tuple[str, Test], ...]] = (
    (DIRECT, lambda t: t.source in {"", "(direct)", "direct"} and t.medium in _NOTHING),
    ("Cross-network", lambda t: "cross-network" in t.campaign),
    ("Paid Shopping", lambda t: t.paid and t.shop),
    ("Paid Search", lambda t: t.paid and t.category == "search"),
    ("Paid Social", lambda t: t.paid and t.category == "social"),
    ("Paid Video", lambda t: t.paid and t.category == "video"),
    ("Display", lambda t: t.medium in _DISPLAY),
    ("Paid Other", lambda t: t.paid),
    ("Organic Shopping", lambda t: t.shop),
    ("Organic Social", lambda t: t.category == "social" or t.medium in _SOCIAL),
    ("Organic Video", lambda t: t.category == "video" or "video" in t.medium),
    ("Organic Search", lambda t: t.category == "search" or t.medium == "organic"),
    ("Referral", lambda t: t.medium in _REFERRAL),
    ("Email", lambda t: t.source in _EMAIL or t.medium in _EMAIL),
    ("Affiliates", lambda t: t.medium == "affiliate"),
    ("Audio", lambda t: t.medium == "audio"),
    ("SMS", lambda t: "sms" in {t.source, t.medium}),
    (
        "Mobile Push Notifications",
        lambda t: (
            t.medium.endswith("push") or "mobile" in t.medium or "notification" in t.medium or t.source == "firebase"
        ),
    ),
)
"""In their order; the first that holds decides."""

CHANNELS: Final = (*(name for name, _ in RULES), UNASSIGNED)
PAID: Final = frozenset({"Cross-network", "Display"}) | {name for name in CHANNELS if name.startswith("Paid ")}


@lru_cache(maxsize=4096)
def channel_of(source: str, medium: str, campaign: str = "") -> Channel:
    """Return the channel of these tags, in any case."""
    source, medium, campaign = (text.strip().lower() for text in (source, medium, campaign))
    traffic = Traffic(source, medium, campaign, category_of(source))
    for number, (name, holds) in enumerate(RULES, 1):
        if holds(traffic):
            return Channel(name, f"{CHANNELS_VERSION}:{number:02}")
    return Channel(UNASSIGNED, f"{CHANNELS_VERSION}:unassigned")


def classify(
    utm: Mapping[str, str], *, clicks: Iterable[ClickId] = (), referrer_host: str = "", own_host: str = ""
) -> Channel:
    """Return the channel of a landing.

    Tags decide where there is a source or a medium. Else a click id that proves payment stands for its platform's source and
    medium (the rule's name ends in the parameter), else the host that referred, else the click was direct.
    """
    source, medium = utm.get("utm_source", ""), utm.get("utm_medium", "")
    campaign = utm.get("utm_campaign", "")
    if source or medium:
        return channel_of(source, medium, campaign)
    if click := next((one for one in clicks if one.proof == "paid"), None):
        implied = channel_of(click.source, click.medium, campaign)
        return Channel(implied.name, f"{implied.rule}+{click.parameter}")
    if referrer_host and _site(referrer_host) != _site(own_host):
        organic = category_of(referrer_host) == "search"
        return channel_of(referrer_host, "organic" if organic else "referral", campaign)
    return channel_of("", "", campaign)


@lru_cache(maxsize=4096)
def category_of(source: str) -> str:
    """Return the category of a source, by its name or its host (any subdomain of it); empty for one that is not known."""
    names, domains, brands = _sources()
    if found := names.get(source):
        return found
    if "." not in source:
        return ""
    labels = source.removeprefix("www.").split(".")
    for start in range(len(labels)):
        if found := domains.get(".".join(labels[start:])):
            return found
    return next((brands[label] for label in _registered(labels) if label in brands), "")


def _registered(labels: list[str]) -> list[str]:
    """The labels that may be the registered name: the one before the last, and before a second-level suffix such as co.uk."""
    if len(labels) >= 3 and len(labels[-1]) == 2 and len(labels[-2]) <= 3:
        return [labels[-3], labels[-2]]
    return labels[-2:-1]


def _site(host: str) -> str:
    return host.lower().removeprefix("www.")


@cache
def _sources() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    categories: dict[str, dict[str, Any]] = shipped("sources")["categories"]
    names, domains, brands = (
        {entry: category for category, lists in categories.items() for entry in lists[kind]}
        for kind in ("names", "domains", "brands")
    )
    return names, domains, brands


def sources_version() -> str:
    """Return the date of the list of sources."""
    return str(shipped("sources")["version"])
