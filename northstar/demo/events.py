"""Part two: the repository's history as the events of a stream."""

from datetime import datetime
from itertools import islice
from typing import Any

from northstar.demo.client import Frame
from northstar.demo.sources import History, PastEvent, history
from northstar.demo.stage import Stage, stream_path
from storage.kinds.events import EVENTS_PER_APPEND


def tell_history(stage: Stage) -> None:
    """Append the history, read it back by position, and follow it live with a dropped connection in the middle."""
    report = stage.report
    report.part("2. History as events")
    past = history(stage.project)
    path = stream_path(f"history-{past.fingerprint}")
    report.say(
        f"  {len(past.events)} events from {past.origin}; {past.out_of_order} are older than the event before them"
    )
    starts = range(0, len(past.events), EVENTS_PER_APPEND)
    batches = [past.events[start : start + EVENTS_PER_APPEND] for start in starts]
    stored = [event for batch in report.each("  append, in batches", batches) for event in _append(stage, path, batch)]
    _check_positions(stage, stored, past)
    _check_listing(stage, path, past)
    again = _append(stage, path, batches[0])
    same = [event["position"] for event in again] == [event["position"] for event in stored[: len(again)]]
    report.check("appending a batch again changes nothing", same, f"{len(again)} events, positions as before")
    _check_resume(stage, path, past)


def _append(stage: Stage, path: str, batch: tuple[PastEvent, ...]) -> list[dict[str, Any]]:
    events = [{"event_id": one.event_id, "type": one.type, "ts": one.ts, "data": one.data} for one in batch]
    stored: list[dict[str, Any]] = stage.demo.need("POST", path, data={"events": events}).json["events"]
    return stored


def _check_positions(stage: Stage, stored: list[dict[str, Any]], past: History) -> None:
    positions = [event["position"] for event in stored]
    dense = positions == list(range(1, len(past.events) + 1))
    stage.report.check("positions are dense, from 1", dense, f"{positions[0]} to {positions[-1]}")


def _check_listing(stage: Stage, path: str, past: History) -> None:
    listed = list(stage.demo.items(path, limit=200))
    seen = [_facts(event) for event in listed]
    expected = [(one.event_id, one.type, datetime.fromisoformat(one.ts), one.data) for one in past.events]
    stage.report.check(
        "the stream reads back in the order of appending",
        seen == expected,
        f"{len(listed)} events, whatever their times",
    )


def _facts(event: dict[str, Any]) -> tuple[str, str, datetime, dict[str, Any]]:
    return event["event_id"], event["type"], datetime.fromisoformat(event["ts"]), event["data"]


def _check_resume(stage: Stage, path: str, past: History) -> None:
    half = len(past.events) // 2
    before = _follow(stage, path, half)
    after = _follow(stage, path, len(past.events) - half, before[-1].id)
    seen = [frame.json["event_id"] for frame in before + after]
    whole = seen == [event.event_id for event in past.events]
    stage.report.check(
        "a client dropped in the middle resumes without gap or repeat",
        whole,
        f"{len(before)} events, connection dropped, {len(after)} more by Last-Event-ID",
    )


def _follow(stage: Stage, path: str, count: int, last_event_id: str = "") -> list[Frame]:
    """Return the next events of the stream; leaving drops the connection."""
    frames = stage.demo.follow(path, last_event_id=last_event_id)
    try:
        return list(islice((frame for frame in frames if "event_id" in frame.json), count))
    finally:
        frames.close()
