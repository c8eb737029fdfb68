"""Which contract applies to a tenant: its own where it has one that is active, else the GLOBAL one of `t_system`."""

from dataclasses import dataclass
from typing import Literal

from analytics.contracts.model import AttributionContract
from analytics.contracts.store import ContractStore, global_context, is_global, open_contracts, try_contracts
from northstar.context import RequestContext
from northstar.errors import NotFound
from storage.guard import ServedBy

From = Literal["CLIENT", "GLOBAL"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A contract, whose it is, and which route answered.

    `revision` is the version of the platform's row where that is the reader's own to change, else None.
    """

    contract: AttributionContract
    resolved_from: From
    revision: int | None
    served_by: ServedBy


def contract_of(context: RequestContext, platform: str) -> Resolved:
    """Return the contract that applies, else the newest that does not: the tenant's own before the GLOBAL one.

    Raises NotFound, DamagedContract, or as `open_store`; that the tenant has no route for tables is no error as long as
    `t_system` has the contract.
    """
    store = try_contracts(context)
    stored = store.head(platform) if store else None
    own = Resolved(stored.contract, whose(context), stored.revision, store.served_by) if store and stored else None
    if own and (own.contract.status == "active" or is_global(context)):
        return own
    shared = None if is_global(context) else _shared(context, platform)
    found = shared if shared and (own is None or shared.contract.status == "active") else own
    if found is None:
        if store is None:
            open_contracts(context)  # raises: there is no route, and that is what the caller must know
        raise NotFound(
            f"There is no attribution contract for {platform!a}.", fix="PUT one, or run `manage.py seed_contracts`."
        )
    return found


def contracts_of(context: RequestContext) -> list[Resolved]:
    """Return what `contract_of` answers for every platform that has one, in the order of their names. Raises as `open_store`."""
    found: dict[str, Resolved] = {}
    shared = None if is_global(context) else try_contracts(global_context(context))
    store = try_contracts(context)
    if store is None and shared is None:
        open_contracts(context)
    for one in shared.heads() if shared else []:
        assert shared is not None
        found[one.contract.platform] = Resolved(one.contract, "GLOBAL", None, shared.served_by)
    for one in store.heads() if store else []:
        assert store is not None
        over = found.get(one.contract.platform)
        if one.contract.status == "active" or over is None or over.contract.status != "active":
            found[one.contract.platform] = Resolved(one.contract, whose(context), one.revision, store.served_by)
    return [found[platform] for platform in sorted(found)]


def version_of(context: RequestContext, platform: str, version: str) -> Resolved:
    """Return one version: the tenant's own, else the GLOBAL one. Raises NotFound, DamagedContract, or as `open_store`."""
    for store, owner in _stores(context):
        stored = store.version(platform, version)
        if stored:
            return Resolved(stored.contract, owner, None, store.served_by)
    raise NotFound(f"The contract of {platform!a} has no version {version}.")


def versions_of(
    context: RequestContext, platform: str, *, limit: int, after: str | None = None
) -> tuple[list[Resolved], str | None]:
    """Return a page of versions from the oldest, and after which to go on: the tenant's own where it has any, else GLOBAL ones.

    Raises NotFound, DamagedContract, or as `open_store`.
    """
    for store, owner in _stores(context):
        found, following = store.versions(platform, limit=limit, after=after)
        if found or after is not None or store.head(platform):
            return [Resolved(one.contract, owner, None, store.served_by) for one in found], following
    raise NotFound(f"There is no attribution contract for {platform!a}.")


def _stores(context: RequestContext) -> list[tuple[ContractStore, From]]:
    own = try_contracts(context)
    found: list[tuple[ContractStore, From]] = [(own, whose(context))] if own else []
    shared = None if is_global(context) else try_contracts(global_context(context))
    if shared:
        found.append((shared, "GLOBAL"))
    if not found:
        open_contracts(context)
    return found


def _shared(context: RequestContext, platform: str) -> Resolved | None:
    store = try_contracts(global_context(context))
    stored = store.head(platform) if store else None
    return Resolved(stored.contract, "GLOBAL", None, store.served_by) if store and stored else None


def whose(context: RequestContext) -> From:
    """Whose the contracts of the context's own place are."""
    return "GLOBAL" if is_global(context) else "CLIENT"
