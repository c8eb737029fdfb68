"""Attribution contracts: which apply to a tenant, what they say, and a place to try URLs and templates out before launch."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from django import forms
from django.http import HttpResponse

from analytics.admin.section import SECTION
from analytics.contracts.findings import CODES, Finding
from analytics.contracts.known import compiled
from analytics.contracts.model import AttributionContract, FieldRule
from analytics.contracts.reading import contract_of, contracts_of, version_of, versions_of
from analytics.contracts.store import open_contracts
from analytics.contracts.templates import generate
from analytics.contracts.trying import Made, Tried, make_template, try_url
from northstar.errors import NoRouteConfigured
from routing.admin.base import Refusable
from routing.admin.stores import StorePage, Visit, store_page

Phase = Literal["landing", "template"]
VERSIONS_SHOWN: Final = 50
VALUES_SHOWN: Final = 8
AROUND: Final = 60
"""Characters of a URL shown on either side of what a finding points at."""


class TryForm(Refusable, forms.Form):
    """A URL to judge."""

    url = forms.CharField(
        label="URL", max_length=65_536, widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})
    )
    phase = forms.ChoiceField(
        choices=[("landing", "landing: what arrived"), ("template", "template: before launch")], required=False
    )
    referrer = forms.CharField(required=False, max_length=65_536)


class TemplateForm(Refusable, forms.Form):
    """What the template shall say."""

    page = forms.CharField(
        required=False, max_length=65_536, label="Landing page", help_text="Where the platform does not put its own."
    )
    values = forms.CharField(
        required=False,
        max_length=65_536,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One field a line, such as utm_campaign=spring_sale. Macros may stand in values.",
    )

    def clean_values(self) -> dict[str, str]:
        """Return the values by field."""
        found: dict[str, str] = {}
        for line in self.cleaned_data["values"].splitlines():
            name, mark, text = line.partition("=")
            if line.strip() and not mark:
                raise forms.ValidationError(f"{line.strip()[:60]!a} is no field and value: write utm_campaign=….")
            if mark:
                found[name.strip()] = text.strip()
        return found


@dataclass(frozen=True, slots=True)
class Pointed:
    """A finding with the text around its place: `before`, what it points at, and `after`."""

    finding: Finding
    meaning: str
    before: str
    at: str
    after: str


@store_page
class ContractsPage(StorePage):
    """Contracts are saved over REST; here they are read and tried. Nothing that is tried is stored."""

    slug = "contracts"
    title = "Attribution contracts"
    section = SECTION
    lead = "What campaign parameters must look like per platform, and a box to try URLs out."
    kind = "tabular_store"
    by_surface = False
    views: ClassVar[dict[str, str]] = {"contract": "contract"}

    def show(self, visit: Visit) -> HttpResponse:
        """List the contracts that apply."""
        _note_route(visit)
        rows = [(one, visit.address("contract", platform=one.contract.platform)) for one in contracts_of(visit.context)]
        return visit.answer("analytics/contracts", rows=rows)

    def contract(self, visit: Visit) -> HttpResponse:
        """Show one contract; on POST judge what was sent. Nothing is stored."""
        _note_route(visit)
        platform, version = visit.asked("platform"), visit.asked("version") or None
        resolved = version_of(visit.context, platform, version) if version else contract_of(visit.context, platform)
        versions, _ = versions_of(visit.context, platform, limit=VERSIONS_SHOWN)
        context: dict[str, Any] = {
            "try_form": TryForm(auto_id="try_%s"),
            "template_form": TemplateForm(auto_id="make_%s"),
        }
        if visit.request.method == "POST":
            context |= (
                _tried(visit, platform, version) if "url" in visit.request.POST else _made(visit, platform, version)
            )
        return visit.answer(
            "analytics/contract",
            f"{platform} {resolved.contract.version}",
            resolved=resolved,
            rules=[_told(rule) for rule in resolved.contract.rules.fields],
            url_template=_template(resolved.contract),
            versions=[
                (one, visit.address("contract", platform=platform, version=one.contract.version)) for one in versions
            ],
            is_version=version is not None,
            **context,
        )


def _note_route(visit: Visit) -> None:
    """Say who serves, where the tenant has a route of its own; without one the GLOBAL contracts still apply."""
    try:
        visit.opened(open_contracts(visit.context))
    except NoRouteConfigured:
        return


def _tried(visit: Visit, platform: str, version: str | None) -> dict[str, Any]:
    form = TryForm(visit.request.POST, auto_id="try_%s")
    if not form.is_valid():
        return {"try_form": form}
    given = form.cleaned_data
    phase: Phase = "template" if given["phase"] == "template" else "landing"
    tried = try_url(visit.context, platform, given["url"], phase, version=version, referrer=given["referrer"])
    return {"try_form": form, "tried": tried, "findings": _pointed(tried, given["url"])}


def _made(visit: Visit, platform: str, version: str | None) -> dict[str, Any]:
    form = TemplateForm(visit.request.POST, auto_id="make_%s")
    if not form.is_valid():
        return {"template_form": form}
    given = form.cleaned_data
    made: Made = make_template(visit.context, platform, given["values"], page=given["page"], version=version)
    return {
        "template_form": form,
        "made": made,
        "made_findings": [_point(one, made.template.template) for one in made.template.findings],
        "simulated_findings": [_point(one, made.simulated) for one in made.findings],
    }


def _pointed(tried: Tried, url: str) -> list[Pointed]:
    return [_point(finding, url) for finding in tried.report.findings]


def _point(finding: Finding, url: str) -> Pointed:
    meaning = CODES[finding.code].meaning if finding.code in CODES else ""
    start = finding.position
    if start is None or start >= len(url):
        return Pointed(finding, meaning, "", "", "")
    end = start + max(len(finding.got) if url.startswith(finding.got, start) else 1, 1)
    before, after = url[max(start - AROUND, 0) : start], url[end : end + AROUND]
    return Pointed(
        finding,
        meaning,
        ("…" if start > AROUND else "") + before,
        url[start:end],
        after + ("…" if end + AROUND < len(url) else ""),
    )


def _template(contract: AttributionContract) -> str:
    return generate(compiled(contract)).template


def _told(rule: FieldRule) -> tuple[FieldRule, str]:
    """Return a field's rule with what it asks for, in words."""
    if rule.kind == "enum":
        names = [one.value for one in rule.values]
        more = f" and {len(names) - VALUES_SHOWN} more" if len(names) > VALUES_SHOWN else ""
        return rule, f"one of: {', '.join(names[:VALUES_SHOWN])}{more}"
    if rule.kind == "pattern":
        return rule, f"like {rule.pattern}"
    if rule.kind == "macro":
        return rule, f"filled in by {', '.join(rule.macros)}" if rule.macros else "a macro of the platform"
    return rule, f"any text up to {rule.max_length} characters" + (f" of {rule.charset}" if rule.charset else "")
