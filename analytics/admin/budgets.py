"""Budgets: what is used and held of each, when it starts anew, how far it will get; and a form that sets limits."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.http import HttpResponse
from django.utils.safestring import SafeString

from analytics.admin.section import SECTION
from analytics.budgets.amounts import text, units
from analytics.budgets.figures import Figure, Forecast, all_figures, forecast_of
from analytics.budgets.names import LEVELS, PROJECT, TENANT, USER
from analytics.budgets.places import open_place
from analytics.budgets.policies import MODES, Policy, Terms
from analytics.budgets.setting import Target, own_policy, set_policy
from northstar.errors import VersionConflict
from routing.admin.stores import ActionForm, Done, Question, StoreAction, StorePage, Visit, store_page
from routing.audit import Cause
from routing.charts import Gauge, gauge
from routing.showing import BAD, GOOD, QUIET, WARN, state
from storage.documents import ABSENT


@dataclass(frozen=True, slots=True)
class Row:
    """A budget as the page shows it."""

    figure: Figure
    used: str
    reserved: str
    limit: str | None
    soft: str | None
    gauge: Gauge
    state: SafeString
    forecast: Forecast | None
    projected: str | None
    to_set: str

    @property
    def resets_at(self) -> datetime | None:
        """When the window ends."""
        return self.figure.resets_at


class LimitsForm(ActionForm):
    """A budget's limits and window. The service checks them, as it does for the API."""

    provider = forms.CharField(max_length=64, help_text="Such as openai.")
    metric = forms.CharField(max_length=64, help_text="Such as tokens, requests, usd.")
    level = forms.ChoiceField(choices=[(name, name) for name in LEVELS])
    soft_limit = forms.CharField(required=False, max_length=40, help_text="Usage that is told of; empty for none.")
    hard_limit = forms.CharField(required=False, max_length=40, help_text="Usage that is not passed; empty for none.")
    mode = forms.ChoiceField(
        required=False,
        choices=[("", "block with a hard limit, else warn"), *((name, name) for name in MODES)],
    )
    window = forms.CharField(
        max_length=20, help_text="lifetime; hour, day, week, month, quarter, year; or rolling: 30m, 48h, 30d."
    )
    timezone = forms.CharField(
        max_length=64, label="Time zone", help_text="The IANA zone whose clock a calendar window follows."
    )
    anchor = forms.CharField(
        required=False, max_length=20, help_text="Where a calendar window begins: 06:00, mon, 15, 4 or 04-01."
    )
    thresholds = forms.CharField(
        required=False,
        max_length=400,
        help_text="Further soft limits, such as 50%, 80%, or amounts, with commas between.",
    )
    rationale = forms.CharField(
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Why; for the audit trail.",
    )
    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput)


class SetLimits(StoreAction):
    """Sets a budget's limits. `analytics.budgets.setting` checks and audits it, as it does for the API."""

    slug = "set"
    title = "Set a budget"
    verb = "Save"
    form_class = LimitsForm

    def question(self, visit: Visit) -> Question:
        """Ask for the limits, beginning with those that there are."""
        visit.opened(open_place(visit.context, visit.place.project_id).store)
        policy = self._own(visit) if visit.asked("provider") else None
        where = f"of {visit.place}" + (f", user {visit.place.user_id}" if visit.place.user_id else "")
        told = f"The budget {where} as it stands." if policy else f"A new budget {where}."
        return Question(
            f"{told} What is used already stays counted; limits hold in every process within seconds.",
            subject="budget",
            back=visit.address(),
            initial=_initial(visit, policy),
        )

    def carry_out(self, visit: Visit, asked: Question, given: dict[str, Any], cause: Cause) -> Done:
        """Store the policy."""
        target = _target(visit, given["provider"], given["metric"], given["level"])
        before = own_policy(visit.context, target)
        if (before.version if before else None) != given["seen_version"]:
            raise VersionConflict("The budget was set by somebody else meanwhile.")
        terms = _terms(given, before)
        set_policy(visit.context, target, terms, expect=before.version if before else ABSENT, rationale=cause.rationale)
        return Done(f"The budget of {target.provider} {target.metric} is set.", asked.back)

    def _own(self, visit: Visit) -> Policy | None:
        target = _target(visit, visit.asked("provider"), visit.asked("metric"), visit.asked("level", TENANT))
        return own_policy(visit.context, target)


@store_page
class BudgetsPage(StorePage):
    """What is allowed and what is used."""

    slug = "budgets"
    title = "Budgets"
    section = SECTION
    lead = "What is used and held of each limit, the window it counts in, and how far it will get."
    kind = "tabular_store"
    by_surface = False
    by_user = True
    actions: ClassVar[tuple[type[StoreAction], ...]] = (SetLimits,)

    def show(self, visit: Visit) -> HttpResponse:
        """List the budgets that usage at this place counts in."""
        visit.opened(open_place(visit.context, visit.place.project_id).store)
        provider = visit.asked("provider").strip()
        rows = [_row(visit, figure) for figure in all_figures(visit.context, provider)]
        return visit.answer("analytics/budgets", provider=provider, rows=rows, to_set=visit.address("set"))


def _row(visit: Visit, figure: Figure) -> Row:
    policy, forecast = figure.level.policy, forecast_of(figure)
    marks = [one.at for one in policy.soft_limits(figure.limit)]
    return Row(
        figure,
        grouped(figure.used),
        grouped(figure.reserved),
        None if figure.limit is None else grouped(figure.limit),
        None if policy.soft_limit is None else grouped(policy.soft_limit),
        gauge(figure.used, figure.reserved, figure.limit, marks),
        standing(figure, forecast),
        forecast,
        grouped(round(forecast.projected, -4)) if forecast else None,
        visit.address("set", provider=policy.provider, metric=policy.metric, level=figure.level.name),
    )


def standing(figure: Figure, forecast: Forecast | None) -> SafeString:
    """Return how a budget stands, in a word."""
    if figure.remaining is not None and figure.remaining <= 0:
        return state("at its limit", BAD)
    if figure.soft_exceeded:
        return state("soft limit reached", WARN)
    if forecast and forecast.exceeds:
        return state("will run out", WARN, "by the forecast")
    if figure.reached:
        return state(f"{figure.reached[-1]} reached", WARN)
    if figure.limit is None and figure.level.policy.soft_limit is None:
        return state("no limit", QUIET)
    return state("within limits", GOOD)


def grouped(micro: int) -> str:
    """Return an amount with commas between thousands, for people."""
    return f"{units(micro):,f}"


def _target(visit: Visit, provider: str, metric: str, level: str) -> Target:
    project = None if level == TENANT else visit.place.project_id
    return Target(provider, metric, level, project, visit.place.user_id if level == USER else None)


def _initial(visit: Visit, policy: Policy | None) -> dict[str, Any]:
    asked = {name: visit.asked(name) for name in ("provider", "metric")}
    level = visit.asked("level") or (PROJECT if visit.place.project_id else TENANT)
    if policy is None:
        return {**asked, "level": level, "window": "month", "timezone": "UTC"}
    return {
        **asked,
        "level": policy.level,
        "soft_limit": _text(policy.soft_limit),
        "hard_limit": _text(policy.hard_limit),
        "mode": policy.mode,
        "window": policy.rule.text,
        "timezone": policy.rule.zone,
        "anchor": policy.rule.anchor,
        "thresholds": ", ".join(policy.thresholds),
        "seen_version": policy.version,
    }


def _terms(given: dict[str, Any], before: Policy | None) -> Terms:
    """Return what is asked for; what the form does not show stays as it is."""
    kept: dict[str, Any] = {}
    if before:
        kept = {
            name: getattr(before, name) for name in ("fail", "currency", "oversubscribe", "grace_seconds", "carry_debt")
        }
        kept["rollover_cap"] = _text(before.rollover_cap) or None
    return Terms(
        soft_limit=given["soft_limit"] or None,
        hard_limit=given["hard_limit"] or None,
        window=given["window"],
        timezone=given["timezone"],
        anchor=given["anchor"],
        thresholds=tuple(_split(given["thresholds"])),
        mode=given["mode"] or None,
        **kept,
    )


def _split(texts: str) -> Iterable[str]:
    return (part.strip() for part in texts.split(",") if part.strip())


def _text(micro: int | None) -> str:
    return "" if micro is None else text(micro)
