"""Attribution contracts over REST: read, save, list, judge by them, make their URL templates."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.contract_bodies import (
    ContractIn,
    ContractOut,
    ContractPage,
    ContractQuery,
    ContractValidationOut,
    DiffIn,
    DiffOut,
    TemplateIn,
    TemplateOut,
    ValidateIn,
    VersionsQuery,
    contract_answer,
    diff_answer,
    template_answer,
    validation_answer,
)
from analytics.contracts.diffing import differences
from analytics.contracts.editing import draft_of
from analytics.contracts.model import PLATFORM
from analytics.contracts.reading import Resolved, contract_of, contracts_of, version_of, versions_of, whose
from analytics.contracts.saving import Expected, save_contract
from analytics.contracts.store import is_global
from analytics.contracts.trying import make_template, try_fields, try_url
from northstar.api import IF_MATCH, IF_NONE_MATCH, create_only, expected_version, page
from northstar.errors import FieldError, Forbidden, InvalidRequest
from routing.api.access import tenant_named
from routing.api.base import ControlView
from routing.api.description import parameters_of
from storage.api.base import DataView
from storage.cursors import seal, unseal
from storage.guard import ServedBy


class ContractView(DataView):
    """What the calls on contracts share."""

    def answered(self, served_by: ServedBy) -> None:
        """Say which route answered."""
        self._served = served_by

    def binding(self, *names: str) -> tuple[str, ...]:
        """Whose list it is, and of what."""
        return (self.context.tenant_id, self.context.env, *names)


class Contracts(ContractView):
    """The contracts that apply to the caller's tenant."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="contracts_list", parameters=parameters_of(VersionsQuery), responses=ContractPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List one contract per platform, in the order of their names: the tenant's own, else the GLOBAL one."""
        query = self.query(VersionsQuery)
        after = unseal("contracts", self.binding(), query.cursor) if query.cursor is not None else ""
        found = [one for one in contracts_of(self.context) if one.contract.platform > after]
        shown = found[: query.limit]
        more = len(found) > query.limit
        cursor = seal("contracts", self.binding(), shown[-1].contract.platform) if more else None
        return page([contract_answer(one) for one in shown], cursor)


class Contract(ControlView, ContractView):
    """The contract of one platform."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read", "PUT": "analytics:write"}
    conditions: ClassVar[Mapping[str, frozenset[str]]] = {"PUT": frozenset({IF_MATCH, IF_NONE_MATCH})}

    @extend_schema(operation_id="contracts_get", parameters=parameters_of(ContractQuery), responses=ContractOut)
    def get(self, request: Request, platform: str) -> Response:  # noqa: ARG002
        """Read the contract that applies, or a version of it.

        The tenant's own has an ETag. A GLOBAL one has none for a tenant: `If-None-Match: *` makes it the tenant's own.
        """
        version = self.query(ContractQuery).version
        resolved = version_of(self.context, platform, version) if version else contract_of(self.context, platform)
        return self._answer(resolved)

    @extend_schema(operation_id="contracts_put", request=ContractIn, responses={200: ContractOut, 201: ContractOut})
    def put(self, request: Request, platform: str) -> Response:
        """Save a version of the tenant's contract: 201 for the first one of the platform.

        The plain form is `{utm_template, allowed_fields}`; `rules` say everything. The rules of a version that was active never
        change: other rules under its name are 409. An operator that names no tenant saves the GLOBAL contract.
        """
        body = self.body(ContractIn)
        _check_platform(platform, body.platform)
        tenant_named(body.tenant_id, self.credential, self.context)
        if is_global(self.context) and not self.credential.is_operator:
            raise Forbidden(
                "The GLOBAL contracts are the operators'.", fix="Use a key of t_system with the scope act:tenants."
            )
        expected: Expected = "absent" if create_only(request) else expected_version(request) or "any"
        draft = draft_of(self.context, platform, body.edit())
        saved = save_contract(self.context, draft, self.cause(body.rationale), expected=expected)
        resolved = Resolved(saved.stored.contract, whose(self.context), saved.stored.revision, saved.served_by)
        return self._answer(resolved, status=201 if saved.created else 200)

    def _answer(self, resolved: Resolved, status: int = 200) -> Response:
        self.answered(resolved.served_by)
        headers = {"ETag": f'"{resolved.revision}"'} if resolved.revision else {}
        return Response(contract_answer(resolved), status=status, headers=headers)


class ContractVersions(ContractView):
    """The versions of one platform's contract."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="contracts_versions", parameters=parameters_of(VersionsQuery), responses=ContractPage)
    def get(self, request: Request, platform: str) -> Response:  # noqa: ARG002
        """List the versions from the oldest: the tenant's own where it has any, else the GLOBAL ones."""
        query, binding = self.query(VersionsQuery), self.binding(platform)
        after = unseal("contract_versions", binding, query.cursor) if query.cursor is not None else None
        found, following = versions_of(self.context, platform, limit=query.limit, after=after)
        cursor = seal("contract_versions", binding, following) if following else None
        return page([contract_answer(one) for one in found], cursor)


class ContractValidation(ContractView):
    """What a contract says of parameters. Nothing is stored."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:read"}

    @extend_schema(operation_id="contracts_validate", request=ValidateIn, responses=ContractValidationOut)
    def post(self, request: Request, platform: str) -> Response:  # noqa: ARG002
        """Judge a URL, or fields by name: which field, at which position, what was expected, and how to fix it."""
        body = self.body(ValidateIn)
        how: Any = {"version": body.version, "referrer": body.referrer}
        if (body.url is None) == (body.utm is None):
            detail = "Send either url or utm."
            raise InvalidRequest(detail, fix=detail, errors=[FieldError("url", "choice", detail)])
        if body.url is not None:
            tried = try_url(self.context, platform, body.url, body.phase, **how)
        else:
            tried = try_fields(self.context, platform, body.utm or {}, body.phase, **how)
        self.answered(tried.resolved.served_by)
        return Response(validation_answer(tried, body.phase))


class ContractTemplate(ContractView):
    """The URL template that a contract's rules make. Nothing is stored."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:read"}

    @extend_schema(operation_id="contracts_template", request=TemplateIn, responses=TemplateOut)
    def post(self, request: Request, platform: str) -> Response:  # noqa: ARG002
        """Make the platform's URL template, and show a landing that a click on its ad may lead to; both are judged."""
        body = self.body(TemplateIn)
        made = make_template(self.context, platform, body.values, page=body.page, version=body.version)
        self.answered(made.resolved.served_by)
        return Response(template_answer(made))


class ContractDiff(ContractView):
    """What a version would change. Nothing is stored."""

    scopes: ClassVar[dict[str, str]] = {"POST": "data:read"}

    @extend_schema(operation_id="contracts_diff", request=DiffIn, responses=DiffOut)
    def post(self, request: Request, platform: str) -> Response:  # noqa: ARG002
        """Judge stored records by what applies now and as if this version did, and list those whose verdict would change.

        Each call looks at `rows` records; go on with the cursor until it is null.
        """
        body = self.body(DiffIn)
        span = (body.version, str(body.start), str(body.end), self.context.project_id or "")
        binding = self.binding(platform, *span)
        after = tuple(unseal("contract_diff", binding, body.cursor)) if body.cursor is not None else None
        found = differences(self.context, platform, body.version, body.start, body.end, rows=body.rows, after=after)
        cursor = seal("contract_diff", binding, list(found.after)) if found.after else None
        return Response(diff_answer(found, cursor))


def _check_platform(platform: str, repeated: str | None) -> None:
    if not re.fullmatch(PLATFORM, platform):
        detail = "The platform is 1 to 63 lower-case letters, digits and underscores, a letter first."
        raise InvalidRequest(detail, fix="Correct the address.", errors=[FieldError("platform", "pattern", detail)])
    if repeated not in {None, platform}:
        detail = f"The body names another platform than the address: {platform}."
        raise InvalidRequest(detail, fix="Leave platform out.", errors=[FieldError("platform", "conflict", detail)])


urlpatterns: list[URLPattern] = [
    path("analytics/contracts", Contracts.as_view(), name="contracts"),
    path("analytics/contracts/<str:platform>", Contract.as_view(), name="contract"),
    path("analytics/contracts/<str:platform>/versions", ContractVersions.as_view(), name="contract-versions"),
    path("analytics/contracts/<str:platform>/diff", ContractDiff.as_view(), name="contract-diff"),
    path("analytics/contracts/<str:platform>/validate", ContractValidation.as_view(), name="contract-validate"),
    path("analytics/contracts/<str:platform>/template", ContractTemplate.as_view(), name="contract-template"),
]
