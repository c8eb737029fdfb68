"""From what somebody sends to what is saved: the plain form or whole rules, over what applied before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from analytics.contracts.drafting import ALLOWED, TEMPLATE, AllowedFields, inherited, plain_rules, template_fields
from analytics.contracts.model import AttributionContract, Mode, Parent, Rules, Status
from analytics.contracts.parameters import utm_name
from analytics.contracts.reading import Resolved, contract_of, version_of
from analytics.contracts.saving import Draft
from northstar.context import RequestContext
from northstar.errors import FieldError, InvalidRequest, NorthstarError, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What somebody wants a platform's contract to be. What is None was not said."""

    template: Mapping[str, str] | str | None = None
    allowed: AllowedFields | None = None
    rules: Rules | None = None
    inherit: bool = False
    version: str | None = None
    status: Status | None = None
    mode: Mode | None = None
    notes: str | None = None
    contract_id: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


def draft_of(context: RequestContext, platform: str, edit: Edit) -> Draft:
    """Return what an edit comes to, over the contract that applies now.

    Whole rules win; the plain form makes rules; without either the rules stay as they are: those of the version that is named
    where there is one, so that a draft can be activated, else those that apply, so that a tenant can make the GLOBAL contract its
    own. Raises InvalidRequest, or as `contract_of`.
    """
    before = _before(context, platform)
    contract = before.contract if before else None
    rules, plain = _rules(context, platform, edit, contract)
    return Draft(
        platform=platform,
        rules=rules,
        version=edit.version,
        status=edit.status,
        mode=edit.mode,
        usual_mode="block" if plain else "observe",
        notes=edit.notes if edit.notes is not None or contract is None else contract.notes,
        contract_id=edit.contract_id,
        parent=_parent(before),
        valid_from=edit.valid_from,
        valid_to=edit.valid_to,
    )


def _before(context: RequestContext, platform: str) -> Resolved | None:
    try:
        return contract_of(context, platform)
    except NotFound:
        return None


def _parent(before: Resolved | None) -> Parent | None:
    if before is None or before.revision is not None:
        return before.contract.parent if before else None
    return Parent(contract_id=before.contract.contract_id, version=before.contract.version)


def _rules(
    context: RequestContext, platform: str, edit: Edit, contract: AttributionContract | None
) -> tuple[Rules, bool]:
    """Return the rules, and whether they come of the plain form."""
    plain = edit.template is not None or edit.allowed is not None
    if edit.rules is not None:
        rules = inherited(edit.rules, contract.rules) if edit.inherit and contract else edit.rules
        if plain:
            _check_agreement(edit, rules)
        return rules, False
    if plain:
        return plain_rules(platform, edit.template or {}, edit.allowed or (), contract), True
    if edit.version is not None:
        return _version_rules(context, platform, edit.version, contract), False
    if contract is None:
        raise _incomplete()
    return contract.rules, False


def _version_rules(context: RequestContext, platform: str, version: str, contract: AttributionContract | None) -> Rules:
    try:
        return version_of(context, platform, version).contract.rules
    except NotFound:
        if contract is None:
            raise _incomplete() from None
        return contract.rules


def _incomplete() -> NorthstarError:
    detail = "A first contract says what is allowed."
    errors = [FieldError(TEMPLATE, "missing", "Send utm_template and allowed_fields, or rules.")]
    return InvalidRequest(detail, fix="Send utm_template and allowed_fields, or rules.", errors=errors)


def _check_agreement(edit: Edit, rules: Rules) -> None:
    """An answer that is sent back has both forms; where somebody changed one of them, nobody may guess which."""
    if edit.template is not None and template_fields(edit.template) != rules.template:
        raise _contradiction(TEMPLATE)
    if edit.allowed is not None and sorted(map(utm_name, edit.allowed)) != sorted(rules.allowed_fields):
        raise _contradiction(ALLOWED)


def _contradiction(field: str) -> InvalidRequest:
    detail = f"`rules` and `{field}` say different things."
    fix = f"Send `rules` alone, or leave `rules` out and send `{TEMPLATE}` and `{ALLOWED}`."
    return InvalidRequest(detail, fix=fix, errors=[FieldError(field, "conflict", detail)])
