"""Contracts in the tabular store: what applies at `attribution:contract:{platform}`, every version beside it.

A save writes the rows that it concerns in one atomic step, so a version's row always says what became of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import structlog
from pydantic import ValidationError

from analytics.contracts.model import AttributionContract, version_key
from northstar.context import NO_SURFACE, RequestContext
from northstar.errors import AlreadyExists, Conflict, NoRouteConfigured, VersionConflict
from northstar.modes import SYSTEM_TENANT
from routing.resolve import snapshot
from storage.documents import ABSENT, ANY, Expect, Outcome, Put, Written
from storage.guard import ServedBy
from storage.kinds.tabular_store import Record, TabularStore
from storage.opening import open_store

TABLE: Final = "attribution"
HEADS: Final = "attribution:contract:"
VERSIONS: Final = "attribution:version:"
PAGE: Final = 200

_log = structlog.get_logger("northstar.contracts")


class DamagedContract(Conflict):
    """A stored contract is not what was saved: somebody changed its row by hand, or another version wrote it."""

    usual_fix = "Save the contract again, with a new version."


@dataclass(frozen=True, slots=True)
class Stored:
    """A contract and the version of its row, which is its ETag."""

    contract: AttributionContract
    revision: int


class ContractStore:
    """The contracts of one tenant and environment."""

    def __init__(self, tables: TabularStore) -> None:
        self._tables = tables

    @property
    def served_by(self) -> ServedBy:
        """Which route answers."""
        return self._tables.served_by

    @property
    def env(self) -> str:
        """The environment of these contracts."""
        return self._tables.scope.env

    def head(self, platform: str) -> Stored | None:
        """Return what the platform's row holds: what is active, else the newest draft. Raises DamagedContract."""
        record = self._tables.get(TABLE, HEADS + platform)
        return None if record is None else Stored(_contract(record), record.version)

    def heads(self) -> list[Stored]:
        """Return what the row of every platform holds, in the order of their names; a damaged one is left out, and logged."""
        found = []
        for record in self._rows(HEADS):
            try:
                found.append(Stored(_contract(record), record.version))
            except DamagedContract as error:
                _log.warning("contract_left_out", key=record.key, detail=error.detail)
        return found

    def version(self, platform: str, version: str) -> Stored | None:
        """Return one version of the platform's contract. Raises DamagedContract."""
        record = self._tables.get(TABLE, _version_name(platform, version))
        return None if record is None else Stored(_contract(record), record.version)

    def versions(self, platform: str, *, limit: int = 100, after: str | None = None) -> tuple[list[Stored], str | None]:
        """Return versions of the platform's contract from the oldest, after the one named; and after which one to go on."""
        prefix = f"{VERSIONS}{platform}:"
        bound = _version_name(platform, after) if after else None
        page = self._tables.list_by_prefix(TABLE, prefix, limit=limit, after=bound)
        found = [Stored(_contract(record), record.version) for record in page.records]
        return found, found[-1].contract.version if page.next_after and found else None

    def put_beside(self, contract: AttributionContract, before: Stored | None) -> None:
        """Write a version that is not in place, over the one that was read. Raises VersionConflict."""
        self._write([self._version_put(contract, before.revision if before else ABSENT)])

    def put_in_place(
        self,
        contract: AttributionContract,
        head: Stored | None,
        before: Stored | None,
        replaced: AttributionContract | None,
    ) -> int:
        """Write the platform's row, the version's own, and that of the version that it replaces: all or none.

        `head` and `before` are the first two as they were read. Returns the version of the platform's row.
        Raises VersionConflict.
        """
        place = Put(HEADS + contract.platform, row_of(contract), head.revision if head else ABSENT)
        operations = [place, self._version_put(contract, before.revision if before else ABSENT)]
        if replaced is not None:
            operations.append(self._version_put(replaced, ANY))
        written = self._write(operations)[0]
        assert isinstance(written, Written)
        return written.version

    def _version_put(self, contract: AttributionContract, expect: Expect) -> Put:
        return Put(_version_name(contract.platform, contract.version), row_of(contract), expect)

    def _write(self, operations: Sequence[Put]) -> list[Outcome]:
        try:
            return self._tables.write(TABLE, operations, operation_id=uuid4().hex)
        except (AlreadyExists, VersionConflict):
            raise VersionConflict("Somebody else saved this contract meanwhile.") from None

    def _rows(self, prefix: str) -> Iterator[Record]:
        after: str | None = None
        while True:
            page = self._tables.list_by_prefix(TABLE, prefix, limit=PAGE, after=after)
            yield from page.records
            if page.next_after is None:
                return
            after = page.next_after


def open_contracts(context: RequestContext) -> ContractStore:
    """Open the contracts of the context's tenant and environment. Raises as `open_store`.

    Projects and surfaces have none of their own: a tenant's ads are the tenant's.
    """
    whole = replace(context, project_id=None, surface_id=NO_SURFACE, user_id=None)
    tables = open_store("tabular_store", whole)
    assert isinstance(tables, TabularStore)
    return ContractStore(tables)


def try_contracts(context: RequestContext) -> ContractStore | None:
    """Open the contracts for reading; None where no route leads to any. Raises as `open_store` for everything else."""
    try:
        return open_contracts(context)
    except NoRouteConfigured:
        return None


def global_context(context: RequestContext) -> RequestContext:
    """Return the context in which the GLOBAL contracts stand: tenant `t_system`, the same environment."""
    mode = snapshot().modes.get(SYSTEM_TENANT, "")
    return replace(context, tenant_id=SYSTEM_TENANT, mode=mode, project_id=None, surface_id=NO_SURFACE, user_id=None)


def is_global(context: RequestContext) -> bool:
    """Whether the context's own contracts are the GLOBAL ones."""
    return context.tenant_id == SYSTEM_TENANT


def row_of(contract: AttributionContract) -> dict[str, Any]:
    """Return a contract as its row holds it: the plain form, with the rules beside it."""
    row = contract.model_dump(exclude={"rules"})
    rules = contract.rules.model_dump(mode="json")
    return {**row, "utm_template": contract.template, "allowed_fields": contract.allowed_fields, "rules": rules}


def _contract(record: Record) -> AttributionContract:
    fields = {name: value for name, value in record.data.items() if name in AttributionContract.model_fields}
    try:
        contract = AttributionContract.model_validate(fields)
    except ValidationError as error:
        first = ".".join(map(str, error.errors()[0]["loc"]))
        raise DamagedContract(f"The row {record.key} is no contract: {first} is not valid.") from None
    if contract.rules.checksum() != contract.checksum:
        raise DamagedContract(f"The rules of the row {record.key} are not those that were saved.")
    return contract


def _version_name(platform: str, version: str) -> str:
    """Return a key that sorts as versions do."""
    return f"{VERSIONS}{platform}:{'.'.join(f'{part:09}' for part in version_key(version))}"
