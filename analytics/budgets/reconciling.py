"""Reconciling: a counter is proven to be the sum over its rows, or repaired, with an audit row.

Every move of a row moves the version of the counters that it feeds. So a counter that has the same version after its rows
were read as before was still, and the comparison is exact while everything else goes on; one that moved is looked at again.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from analytics.budgets.amounts import text
from analytics.budgets.names import COUNTERS, FOLDED, ROWS
from analytics.budgets.outbox import AUDIT, deliver, letter
from analytics.budgets.places import Place, context_of
from analytics.budgets.rows import Sums, stored_row, stored_sums
from northstar.context import RequestContext
from northstar.errors import AlreadyExists, VersionConflict
from storage.documents import ABSENT, Put

BUDGET_RECONCILED: Final = "BUDGET_RECONCILED"
PROVEN, DRIFTED, REPAIRED, BUSY = "proven", "drifted", "repaired", "busy"
ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found of one counter: proven, drifted (and not repaired), repaired, or busy: it moved at every look."""

    counter: str
    verdict: str
    says: Sums
    rows_say: Sums


@dataclass(slots=True)
class _Expected:
    """What the rows of a place say, by counter."""

    used: dict[str, int] = field(default_factory=dict)
    reserved: dict[str, int] = field(default_factory=dict)
    buckets: dict[str, dict[int, int]] = field(default_factory=dict)

    def add(self, counter: str, used: int, reserved: int, buckets: dict[int, int]) -> None:
        self.used[counter] = self.used.get(counter, 0) + used
        self.reserved[counter] = self.reserved.get(counter, 0) + reserved
        known = self.buckets.setdefault(counter, {})
        for bucket, amount in buckets.items():
            known[bucket] = known.get(bucket, 0) + amount

    def of(self, counter: str, says: Sums) -> Sums:
        """What a counter should say. Where it rolls: of the sub-buckets that it has, and of those that came after its oldest."""
        if not says.buckets and not self.buckets.get(counter):
            return Sums(self.used.get(counter, 0), self.reserved.get(counter, 0))
        oldest = min(says.buckets, default=None)
        known = self.buckets.get(counter, {})
        if not says.version:  # the counter is gone, and with it what has left the window: rolling it on will tell
            oldest = min(known, default=None)
        kept = {bucket: used for bucket, used in known.items() if oldest is not None and bucket >= oldest}
        return Sums(sum(kept.values()), self.reserved.get(counter, 0), kept)


def reconcile(
    context: RequestContext, place: Place, *, provider: str = "", repair: bool = True, rationale: str = ""
) -> list[Proof]:
    """Compare every counter of a place (of one provider, if named) with its rows, in order; repair what has drifted if asked to.

    A repair is written only over the very version that was compared, together with its audit row.
    """
    prefix = f"{provider}:" if provider else ""
    proofs: dict[str, Proof] = {}
    wanted: set[str] | None = None
    for _ in range(ATTEMPTS):
        found = _compare(place, prefix, wanted)
        if repair:
            found = [_repaired(context, place, proof, rationale) for proof in found]
        proofs |= {proof.counter: proof for proof in found}
        wanted = {counter for counter, proof in proofs.items() if proof.verdict == BUSY}
        if not wanted:
            break
    return [proofs[counter] for counter in sorted(proofs)]


def _compare(place: Place, prefix: str, wanted: set[str] | None) -> list[Proof]:
    before = _counters(place, prefix)
    expected = _expected(place, prefix)
    after = _counters(place, prefix)
    found = []
    for counter in sorted({*before, *after, *expected.used}):
        if wanted is None or counter in wanted:
            was, says = before.get(counter, Sums()), after.get(counter, Sums())
            should = expected.of(counter, says)
            verdict = BUSY if was.version != says.version else PROVEN if _same(says, should) else DRIFTED
            found.append(Proof(counter, verdict, says, should))
    return found


def _counters(place: Place, prefix: str) -> dict[str, Sums]:
    return {
        record.key: stored_sums(record.data, record.version, record.updated_at)
        for record in place.all(COUNTERS + prefix)
    }


def _expected(place: Place, prefix: str) -> _Expected:
    expected = _Expected()
    for record in place.all(FOLDED + prefix):
        sums = stored_sums(record.data, record.version)
        expected.add(COUNTERS + record.key.removeprefix(FOLDED), sums.used, 0, dict(sums.buckets))
    for record in place.all(ROWS + prefix):
        for charge in stored_row(record.key, record.data, record.version).charges:
            buckets = {} if charge.bucket is None else {charge.bucket: charge.used}
            expected.add(charge.counter, charge.used, charge.reserved, buckets)
    return expected


def _same(says: Sums, should: Sums) -> bool:
    used = {bucket: amount for bucket, amount in says.buckets.items() if amount}
    wanted = {bucket: amount for bucket, amount in should.buckets.items() if amount}
    return (says.used, says.reserved, used) == (should.used, should.reserved, wanted)


def _repaired(context: RequestContext, place: Place, proof: Proof, rationale: str) -> Proof:
    if proof.verdict != DRIFTED:
        return proof
    said = {
        "action": BUDGET_RECONCILED,
        "subject": f"budget:{proof.counter.removeprefix(COUNTERS)}"[:200],
        "actor": context.actor,
        "request_id": context.request_id,
        "rationale": rationale,
        "before": _shown(proof.says),
        "after": _shown(proof.rows_say),
    }
    note = letter(AUDIT, said)
    try:
        place.write([Put(proof.counter, proof.rows_say.fields(), proof.says.version or ABSENT), note.put()])
    except (AlreadyExists, VersionConflict):
        return replace(proof, verdict=BUSY)
    deliver(context_of(context, place.project), place, note)
    return replace(proof, verdict=REPAIRED)


def _shown(sums: Sums) -> dict[str, Any]:
    return {"used": text(sums.used), "reserved": text(sums.reserved)}
