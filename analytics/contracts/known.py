"""The contracts that a process knows: read once per tenant and environment, and again when one was changed, or after a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import structlog

from analytics.contracts.compiled import CompiledContract
from analytics.contracts.model import AttributionContract
from analytics.contracts.store import try_contracts
from northstar.context import RequestContext
from routing.resolve import snapshot
from routing.snapshot import Snapshot
from storage.errors import BackendUnavailable

FRESH_SECONDS: Final = 30.0
"""For how long contracts are taken as they are. A change through Northstar is seen with the snapshot, within its poll interval;
this bounds the rest: a row that somebody else wrote, a contract whose time has come."""
STALE_SECONDS: Final = 3600.0
"""For how long judging goes on with what is known while the store is away."""
PLACES: Final = 2_000

_log = structlog.get_logger("northstar.contracts")


@dataclass(frozen=True, slots=True)
class _Known:
    snapshot: Snapshot
    read_at: float
    contracts: Mapping[str, CompiledContract]


_known: Final[dict[tuple[str, str], _Known]] = {}
_compiled: Final[dict[tuple[str, ...], CompiledContract]] = {}


def known_contracts(context: RequestContext) -> Mapping[str, CompiledContract]:
    """Return the contracts that are active now in the context's own place, by platform; none where no route leads to any.

    It is the same object as long as nothing changed. Raises BackendUnavailable when they can be neither read nor remembered.
    """
    place, now = (context.tenant_id, context.env), snapshot()
    known = _known.get(place)
    if known and known.snapshot is now and monotonic() - known.read_at < FRESH_SECONDS:
        return known.contracts
    try:
        contracts = _read(context)
    except BackendUnavailable as error:
        if known is None or monotonic() - known.read_at > STALE_SECONDS:
            raise
        _log.warning("contracts_remembered", tenant=context.tenant_id, env=context.env, error=error.code)
        return known.contracts
    if known and known.contracts == contracts:
        contracts = known.contracts
    if len(_known) >= PLACES:
        _known.clear()
    _known[place] = _Known(now, monotonic(), contracts)
    return contracts


def _read(context: RequestContext) -> Mapping[str, CompiledContract]:
    store, now = try_contracts(context), datetime.now(UTC)
    heads = [one.contract for one in store.heads()] if store else []
    return {one.platform: compiled(one) for one in heads if one.applies_at(now)}


def compiled(contract: AttributionContract) -> CompiledContract:
    """Return the contract made ready to judge; the same object for the same contract, used in the same way."""
    key = (
        contract.tenant_id,
        contract.contract_id,
        contract.version,
        contract.checksum,
        contract.mode,
        contract.status,
    )
    found = _compiled.get(key)
    if found is None:
        if len(_compiled) >= PLACES:
            _compiled.clear()
        found = _compiled[key] = CompiledContract(contract)
    return found
