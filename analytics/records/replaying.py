"""Replaying: rows that were quarantined, or that a gate refused, are judged again by what holds now, and come in where they may.

A row never changes. What comes in is a new row that names the old one (`replay_of`), under a claim made of the old row's id: so a
row comes in once, however often and by however many it is replayed.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from analytics.records.drafts import Draft, Submission
from analytics.records.gates import pass_gates
from analytics.records.outcomes import QUARANTINED, REJECTED
from analytics.records.refusals import GATES
from northstar.context import RequestContext
from northstar.instants import instant_text
from storage.kinds.analytics_rows import NewRow, Row, StoredRow, id_claim
from storage.kinds.analytics_store import AnalyticsStore

CAME_IN: Final = "stored"
CAME_IN_BEFORE: Final = "already_stored"
STILL_REFUSED: Final = "still_refused"
NOT_REPLAYABLE: Final = "not_replayable"
ROWS_AT_ONCE: Final = 1000
_SAID_BY_GATES: Final = frozenset(
    {"outcome", "refusal", "findings", "reported", "rewrites", "contract", "channel", "channel_rule", "claim", "sent"}
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one row. `replayed_as` is the row that came in, now or before; `error` why none did."""

    row_id: str
    analytics_id: str
    result: str
    replayed_as: str | None = None
    error_code: str | None = None
    detail: str | None = None


def is_replayable(row: Row) -> bool:
    """Whether a gate kept the row from being counted."""
    outcome = row["outcome"]
    return outcome == QUARANTINED or (outcome == REJECTED and row.get("refusal", {}).get("gate") in GATES)


def replay_claim(stored: StoredRow) -> str:
    """What a row's replay must be the first to have: a refused row has left its id free, a quarantined one holds it."""
    return "r/" + stored.row_id if stored.row["outcome"] == QUARANTINED else id_claim(stored.row["analytics_id"])


def replay(context: RequestContext, store: AnalyticsStore, rows: Sequence[StoredRow]) -> list[Replayed]:
    """Ask the gates again about these rows, and take in those that pass. Rows that came in before are told, not counted again.

    Raises BackendUnavailable when a store that is needed is away; replay again then.
    """
    submission = Submission(context, secrets.token_hex(16), datetime.now(UTC))
    able = {position: stored for position, stored in enumerate(rows) if is_replayable(stored.row)}
    holders = store.holders([replay_claim(stored) for stored in able.values()]) if able else {}
    drafts = {
        position: _draft(submission, position, stored)
        for position, stored in able.items()
        if replay_claim(stored) not in holders
    }
    pass_gates(submission, list(drafts.values()), store)
    passed = [position for position, draft in drafts.items() if draft.outcome == CAME_IN]
    firsts: dict[str, int] = {}
    for position in passed:
        firsts.setdefault(drafts[position].claim, position)
    first = list(firsts.values())
    kept = store.keep([_new_row(drafts[position]) for position in first], submission.token)
    new = {first[place]: stored for place, stored in kept.stored.items()}
    known = {position: holders[replay_claim(able[position])] for position in able if position not in drafts}
    known |= {first[place]: met.row for place, met in kept.met.items()}
    came = new | known
    known |= {position: came[firsts[drafts[position].claim]] for position in passed if position not in came}
    return [_told(stored, new.get(place), known.get(place), drafts.get(place)) for place, stored in enumerate(rows)]


def replay_range(context: RequestContext, store: AnalyticsStore, start: datetime, end: datetime) -> Counter[str]:
    """Replay every row of a range that a gate kept from being counted, and return how many had each result."""
    results: Counter[str] = Counter()
    after = None
    while True:
        page = store.rows(start, end, {}, limit=ROWS_AT_ONCE, after=after)
        able = [stored for stored in page.rows if is_replayable(stored.row)]
        results.update(one.result for one in replay(context, store, able))
        after = page.after
        if after is None:
            return results


def _draft(submission: Submission, position: int, stored: StoredRow) -> Draft:
    """The record as it was before the gates spoke."""
    row: dict[str, Any] = {name: value for name, value in stored.row.items() if name not in _SAID_BY_GATES}
    sent = stored.row.get("sent", {})
    row |= {name: sent[name] for name in ("status", "error_message") if name in sent}
    row |= {"replay_of": stored.row_id, "replayed_at": instant_text(submission.received)}
    return Draft(position, sent, row, replay_claim(stored))


def _new_row(draft: Draft) -> NewRow:
    row = draft.row | {"outcome": CAME_IN}
    if draft.claim.startswith("r/"):
        row["claim"] = draft.claim
    return NewRow(row, row["corrected_at"], draft.claim)


def _told(stored: StoredRow, new: StoredRow | None, known: StoredRow | None, draft: Draft | None) -> Replayed:
    analytics_id = stored.row["analytics_id"]
    if new:
        return Replayed(stored.row_id, analytics_id, CAME_IN, new.row_id)
    if known:
        return Replayed(stored.row_id, analytics_id, CAME_IN_BEFORE, known.row_id)
    if draft is None:
        return Replayed(stored.row_id, analytics_id, NOT_REPLAYABLE)
    error = draft.refusal.error if draft.refusal else None
    code = error.code if error else "CONTRACT_VIOLATION"
    return Replayed(stored.row_id, analytics_id, STILL_REFUSED, None, code, error.detail if error else "Quarantined.")
