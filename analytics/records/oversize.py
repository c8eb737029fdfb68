"""Records too large for a row: what was sent goes into the tenant's object store, and the row says where it lies."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from analytics.records.drafts import SUBMITTED_BYTES, Draft, Submission, raw_of, refused_claim
from analytics.records.refusals import SHAPE, Refusal
from northstar.context import NO_SURFACE
from northstar.errors import NorthstarError, TooLarge
from storage.errors import BackendUnavailable
from storage.opening import open_store

ROW_BYTES: Final = 48 * 1024
"""Of a record that stands in its row."""
LARGE_FIELDS: Final = ("payload", "click_ids", "landing_url", "error_message")
"""What leaves the row when the record is put aside, the largest first."""


def put_aside(submission: Submission, drafts: Sequence[Draft]) -> None:
    """Move what is too large for a row out of it. Raises BackendUnavailable when the object store is away."""
    for draft in drafts:
        if draft.size > (SUBMITTED_BYTES if "submitted" in draft.row else ROW_BYTES):
            _put_aside(submission, draft)


def _put_aside(submission: Submission, draft: Draft) -> None:
    try:
        draft.row["raw_object"] = _kept(submission, draft)
    except BackendUnavailable:
        raise
    except NorthstarError as error:
        _refuse(submission, draft, error)
    for name in LARGE_FIELDS:
        draft.row[name] = None
    draft.row["error_message"] = draft.refusal.error.told()[:2000] if draft.refusal else None


def _kept(submission: Submission, draft: Draft) -> dict[str, Any]:
    """Keep the bytes under a name made of the record's: sent again, they are the same object."""
    raw = raw_of(draft.sent)
    context = replace(submission.context, surface_id=NO_SURFACE)
    key = (
        f"analytics/{submission.received:%Y%m%d}/{draft.row.get('fingerprint', submission.token)}-{draft.position}.json"
    )
    info = open_store("object_store", context).put(key, [raw], content_type="application/json", size=len(raw))
    return {"key": key, "bytes": len(raw), "sha256": info.sha256}


def _refuse(submission: Submission, draft: Draft, error: NorthstarError) -> None:
    """Without an object store a record of this size cannot be taken in; what was not a record anyway keeps its own refusal."""
    if draft.refusal:
        return
    draft.refusal = Refusal(
        SHAPE,
        TooLarge(
            f"The record has {draft.size} bytes; a row holds {ROW_BYTES}, and the object store refused it: {error.detail}",
            fix="Give the tenant an object_store route, or send less.",
        ),
    )
    draft.row["status"] = "error"
    draft.claim = refused_claim(submission, draft)
