"""Saving a contract: a new version beside the old ones, one of them active; each change in the audit trail.

All rows of a save are written in one atomic step, the last one of the audit row's transaction: where it fails, nothing happened.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import uuid4

from django.db import transaction

from analytics.contracts.model import (
    AttributionContract,
    Mode,
    Parent,
    Rules,
    Status,
    next_version,
    version_key,
)
from analytics.contracts.store import ContractStore, Stored, open_contracts, row_of
from northstar.context import RequestContext
from northstar.errors import Conflict, FieldError, InvalidRequest, TooLarge, VersionConflict
from northstar.rendering import dumps
from routing import audit
from routing.audit import Cause, Subject, timestamp
from storage.guard import ServedBy

CONTRACT_SAVED: Final = "CONTRACT_SAVED"
RULES_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be saved. What is None keeps its value, or has the usual one where there was none."""

    platform: str
    rules: Rules
    version: str | None = None
    status: Status | None = None
    mode: Mode | None = None
    usual_mode: Mode = "observe"
    notes: str | None = None
    contract_id: str | None = None
    parent: Parent | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save came to: `created` where the platform had no contract here, `changed` where anything is other than before.

    The revision is that of the platform's row, which `expected` is about, also where the contract stands beside it.
    """

    stored: Stored
    served_by: ServedBy
    created: bool
    changed: bool


Expected = Literal["any", "absent"] | int
"""What must stand there: whatever, nothing, or the row with this version (its ETag)."""


def save_contract(context: RequestContext, draft: Draft, cause: Cause, *, expected: Expected = "any") -> Saved:
    """Save a version of the platform's contract; the same again changes nothing.

    Raises VersionConflict (not what was expected), Conflict (an active or retired version would change, or a new version is
    older than the active one), InvalidRequest, TooLarge, or as `open_store`.
    """
    store = open_contracts(context)
    head = store.head(draft.platform)
    _check_expected(expected, head)
    row = store.version(draft.platform, draft.version) if draft.version else None
    before = _before(draft, head, row)
    contract = _contract(context, draft, cause, head=head, before=before, store=store)
    if before is not None and _same(before.contract, contract):
        return Saved(
            Stored(before.contract, head.revision if head else 0), store.served_by, created=False, changed=False
        )
    _check_history(contract, head, before)
    replaced = head is not None and head.contract.status == "active" and contract.version != head.contract.version
    if head is not None and replaced and contract.status != "active":
        _save_beside(store, contract, row, cause)
        return Saved(Stored(contract, head.revision), store.served_by, created=False, changed=True)
    retired = _retired(head.contract, contract) if head is not None and replaced else None
    revision = _save_in_place(store, contract, head, cause, retired)
    return Saved(Stored(contract, revision), store.served_by, created=head is None, changed=True)


def _check_expected(expected: Expected, head: Stored | None) -> None:
    if expected == "any":
        return
    if expected == "absent" and head is not None:
        raise VersionConflict("The platform has a contract here, and If-None-Match asks that it has none.")
    if expected != "absent" and (head is None or head.revision != expected):
        raise VersionConflict("The platform's contract is not the one that If-Match names.")


def _before(draft: Draft, head: Stored | None, row: Stored | None) -> Stored | None:
    """Return what the version to be saved is now: the named one, else the one in place if the rules stay the same."""
    if head is not None and draft.version in {None, head.contract.version}:
        named = draft.version is not None
        return head if named or head.contract.checksum == draft.rules.checksum() else None
    return row


def _contract(
    context: RequestContext,
    draft: Draft,
    cause: Cause,
    *,
    head: Stored | None,
    before: Stored | None,
    store: ContractStore,
) -> AttributionContract:
    now = datetime.now(UTC)
    old = before.contract if before else None
    rules = draft.rules
    if len(dumps(rules.model_dump(mode="json"))) > RULES_BYTES:
        raise TooLarge(f"The rules have more than {RULES_BYTES} bytes.", fix="List fewer values, or use patterns.")
    if draft.valid_from and draft.valid_to and draft.valid_to <= draft.valid_from:
        detail = "valid_to is not after valid_from."
        raise InvalidRequest(detail, fix="Correct it.", errors=[FieldError("valid_to", "order", detail)])
    return AttributionContract(
        contract_id=_contract_id(draft, head),
        tenant_id=context.tenant_id,
        platform=draft.platform,
        version=old.version if old else draft.version or next_version(_known_versions(store, draft.platform, head)),
        status=draft.status or "active",
        mode=draft.mode or (head.contract.mode if head else draft.usual_mode),
        rules=rules,
        checksum=rules.checksum(),
        notes=draft.notes if draft.notes is not None else (old.notes if old else ""),
        parent=draft.parent or (old.parent if old else None),
        valid_from=draft.valid_from or (old.valid_from if old else None),
        valid_to=draft.valid_to or (old.valid_to if old else None),
        created_at=old.created_at if old else now,
        created_by=old.created_by if old else cause.actor,
        updated_at=now,
        updated_by=cause.actor,
    )


def _contract_id(draft: Draft, head: Stored | None) -> str:
    """A platform's contract keeps its id through all versions. Raises Conflict for another one."""
    if head is None:
        return draft.contract_id or str(uuid4())
    if draft.contract_id not in {None, head.contract.contract_id}:
        raise Conflict(
            f"The contract of {draft.platform} has the id {head.contract.contract_id}.", fix="Leave contract_id out."
        )
    return head.contract.contract_id


def _known_versions(store: ContractStore, platform: str, head: Stored | None) -> list[str]:
    """Every version that has a row, and the one in place."""
    known = [head.contract.version] if head else []
    after: str | None = None
    while True:
        found, after = store.versions(platform, limit=1000, after=after)
        known += [one.contract.version for one in found]
        if after is None:
            return known


_WEIGHED: Final = ("version", "status", "mode", "notes", "checksum", "valid_from", "valid_to", "parent")


def _same(one: AttributionContract, other: AttributionContract) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _WEIGHED)


def _check_history(contract: AttributionContract, head: Stored | None, before: Stored | None) -> None:
    """Refuse to change the rules of a version that was active, and to put an older one that never was over a newer one."""
    if before is not None:
        if before.contract.status != "draft" and before.contract.checksum != contract.checksum:
            raise Conflict(
                f"Version {contract.version} of {contract.platform} is {before.contract.status}: its rules never change.",
                fix="Save the new rules under a new version, or leave the version out.",
            )
        if before.contract.status != "draft" and contract.status == "draft":
            raise Conflict(
                f"Version {contract.version} of {contract.platform} was active: it becomes no draft again.",
                fix="Retire it, or save a draft under a new version.",
            )
        return
    if head is None or head.contract.status != "active" or contract.status != "active":
        return
    if version_key(contract.version) < version_key(head.contract.version):
        raise Conflict(
            f"Version {contract.version} of {contract.platform} is older than the active {head.contract.version}.",
            fix="Use a higher version.",
        )


def _save_beside(store: ContractStore, contract: AttributionContract, row: Stored | None, cause: Cause) -> None:
    """Keep a version that is not active; the one that is stays."""
    with transaction.atomic():
        _record(store, contract, row, cause)
        store.put_beside(contract, row)


def _save_in_place(
    store: ContractStore,
    contract: AttributionContract,
    head: Stored | None,
    cause: Cause,
    retired: AttributionContract | None,
) -> int:
    """Make the contract the platform's own."""
    row = store.version(contract.platform, contract.version)
    with transaction.atomic():
        _record(store, contract, head, cause)
        return store.put_in_place(contract, head, row, retired)


def _retired(old: AttributionContract, new: AttributionContract) -> AttributionContract:
    update: dict[str, Any] = {"status": "retired", "updated_at": new.updated_at, "updated_by": new.updated_by}
    return old.model_copy(update=update)


def _record(store: ContractStore, contract: AttributionContract, before: Stored | None, cause: Cause) -> None:
    """Write the audit row. It moves the revision that every process watches, so that judges read the contracts again."""
    subject = Subject(f"contract:{contract.platform}", tenant_id=contract.tenant_id, env=store.env)
    audit.record(
        audit.lock(),
        CONTRACT_SAVED,
        subject,
        cause,
        before=summary(before.contract) if before else None,
        after=summary(contract),
    )


def summary(contract: AttributionContract) -> dict[str, Any]:
    """Return a contract as answers and audit rows show it."""
    row = row_of(contract)
    times = ("valid_from", "valid_to", "created_at", "updated_at")
    return row | {name: timestamp(row[name]) for name in times}
