"""Taking records in: each one that was submitted is kept once, whatever becomes of it, and told exactly one outcome.

A record is checked, passes the gates, and is kept under its id; what comes second under an id is a duplicate if it says the
same, else a conflict, and then both are kept. What is no record, and what a gate refuses, is kept under a name of its own. When a
store that is needed is away, the whole submission goes to this machine's spool and is carried out later, with the same ids, once.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from analytics.records import outcomes, spool
from analytics.records.drafts import Draft, Submission, drafts_of, new_ids, refused_claim
from analytics.records.gates import pass_gates
from analytics.records.outcomes import CONFLICT, DUPLICATE, Outcome
from analytics.records.oversize import put_aside
from analytics.records.refusals import GATES
from northstar.context import NO_SURFACE, RequestContext
from storage.errors import BackendUnavailable
from storage.kinds.analytics_counts import RECEIVED
from storage.kinds.analytics_rows import NewRow, Row, StoredRow, claim_of, id_claim
from storage.kinds.analytics_store import AnalyticsStore
from storage.opening import open_store

_IDS: Final = UUID("6f2c8a86-5d7e-4a54-9a53-0d1d7b6d4f11")
"""The namespace of ids that an Idempotency-Key generates."""


def analytics_store(context: RequestContext) -> AnalyticsStore:
    """Open the store of the context's tenant, environment and project. A surface is a field of a record, not a place."""
    store: AnalyticsStore = open_store("analytics_store", replace(context, surface_id=NO_SURFACE))
    return store


def ingest(
    store: AnalyticsStore,
    context: RequestContext,
    records: Sequence[Any],
    *,
    sent_at: str | None = None,
    operation_id: str = "",
) -> list[Outcome]:
    """Take the records in and return an outcome for each, in their order.

    The same `operation_id` again carries the submission out once. A store that is away is no error: the outcome is `spooled`.
    """
    submission = Submission(context, operation_id or secrets.token_hex(16), datetime.now(UTC), sent_at)
    ids = _ids(operation_id, len(records))
    try:
        return take_in(submission, list(records), ids, store, again=bool(operation_id))
    except BackendUnavailable:
        spool.add(submission, records, ids)
        return [Outcome(outcomes.SPOOLED, _id_of(record, ids[position])) for position, record in enumerate(records)]


def take_in(
    submission: Submission,
    records: list[Any],
    ids: list[str],
    store: AnalyticsStore,
    *,
    again: bool = False,
    waited: bool = False,
) -> list[Outcome]:
    """Carry a submission out. One that was carried out before, in part or whole, is completed and not counted twice.

    `again`: that may have happened; what came in then stays in, whatever the gates say by now. `waited`: nobody was told, so what
    was refused then stays refused too. Raises BackendUnavailable when a store that is needed is away; the same submission may
    then be carried out again.
    """
    drafts = drafts_of(submission, records, ids)
    refused = _refused_before(submission, drafts, store) if waited else {}
    for position, stored in refused.items():
        drafts[position].claim = claim_of(stored.row)
    pass_gates(submission, [draft for draft in drafts if draft.position not in refused], store)
    put_aside(submission, drafts)
    if again:
        _let_in(submission, drafts, store)
    return carry_out(submission, drafts, store)


def _refused_before(submission: Submission, drafts: Sequence[Draft], store: AnalyticsStore) -> dict[int, StoredRow]:
    """The rows of those drafts that a gate refused at an earlier try, by their position."""
    claims = {refused_claim(submission, draft): draft.position for draft in drafts if draft.refusal is None}
    holders = store.holders(list(claims)) if claims else {}
    return {claims[claim]: stored for claim, stored in holders.items() if stored.row["outcome"] == outcomes.REJECTED}


def _let_in(submission: Submission, drafts: Sequence[Draft], store: AnalyticsStore) -> None:
    """Of drafts that are refused now, let in those that came in at an earlier try of the same submission."""
    refused = [draft for draft in drafts if draft.refusal and draft.refusal.gate in GATES]
    holders = store.holders([id_claim(draft.analytics_id) for draft in refused]) if refused else {}
    for draft in refused:
        holder = holders.get(id_claim(draft.analytics_id))
        if holder and holder.token == submission.token:
            draft.claim, draft.refusal = claim_of(holder.row), None


def carry_out(submission: Submission, drafts: Sequence[Draft], store: AnalyticsStore) -> list[Outcome]:
    """Keep what the gates have judged, and return an outcome for each draft, in their order. Raises as `take_in`."""
    return _Carrying(submission, store).carry_out(drafts)


class _Carrying:
    """Keeps the drafts of one submission and finds out what became of each."""

    def __init__(self, submission: Submission, store: AnalyticsStore) -> None:
        self._submission = submission
        self._store = store
        self._outcomes: dict[int, Outcome] = {}
        self._holders: dict[str, tuple[str, Row]] = {}
        self._duplicates = 0

    def carry_out(self, drafts: Sequence[Draft]) -> list[Outcome]:
        firsts: dict[str, Draft] = {}
        for draft in drafts:
            firsts.setdefault(draft.claim, draft)
        conflicts = self._keep(list(firsts.values()))
        conflicts += [draft for draft in drafts if firsts[draft.claim] is not draft and not self._repeats(draft)]
        self._keep([self._conflicting(draft) for draft in conflicts])
        if self._duplicates:
            tally = {RECEIVED: self._duplicates, DUPLICATE: self._duplicates}
            self._store.count(tally, self._submission.received, f"{self._submission.token}-d")
        return [self._outcomes[draft.position] for draft in drafts]

    def _keep(self, drafts: list[Draft]) -> list[Draft]:
        """Keep what can be kept, and return what says something else than the row that has its id."""
        kept = self._store.keep([_new_row(draft) for draft in drafts], self._submission.token)
        conflicts = []
        for position, draft in enumerate(drafts):
            stored = kept.stored.get(position)
            holder = stored or kept.met[position].row
            self._holders[draft.claim] = (holder.row_id, holder.row)
            if stored or holder.token == self._submission.token:  # this one, or an earlier try
                self._outcomes[draft.position] = outcomes.kept(draft, holder)
            elif not self._repeats(draft):
                conflicts.append(draft)
        return conflicts

    def _repeats(self, draft: Draft) -> bool:
        """Whether the row that has the draft's id says the same; then it is a duplicate."""
        row_id, row = self._holders[draft.claim]
        if row.get("fingerprint") != draft.row["fingerprint"]:
            return False
        self._outcomes[draft.position] = outcomes.repeated(draft, row_id)
        self._duplicates += 1
        return True

    def _conflicting(self, draft: Draft) -> Draft:
        """The draft under a name of its own, with the row that has its id."""
        draft.row = draft.row | {"outcome": CONFLICT, "conflicts_with": self._holders[draft.claim][0]}
        draft.claim = refused_claim(self._submission, draft)
        return draft


def _new_row(draft: Draft) -> NewRow:
    row = draft.row
    row.setdefault("outcome", draft.outcome)
    if draft.refusal:
        row["refusal"] = draft.refusal.fields()
    if draft.claim.startswith("u/"):
        row["claim"] = draft.claim
    return NewRow(row, row["corrected_at"], draft.claim)


def _ids(operation_id: str, count: int) -> list[str]:
    """Ids for records without one; under an operation id the same for every attempt."""
    if not operation_id:
        return new_ids(count)
    return [str(uuid5(_IDS, f"{operation_id}/{position}")) for position in range(count)]


def _id_of(record: Any, own_id: str) -> str:
    given = record.get("analytics_id") if isinstance(record, dict) else None
    return given if isinstance(given, str) else own_id
