"""What the calls of streams take and give."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from northstar.inputs import PageSize, Timestamp
from storage.kinds.events import EVENTS_PER_APPEND, NewEvent, StoredEvent


class EventIn(BaseModel):
    """An event to append."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: str = Field(description="1 to 128 characters on one line.")
    data: Any = Field(description="Any JSON value; with its envelope at most 350 KiB.")
    ts: Timestamp | None = Field(None, description="When it happened: data, never the order. Default: now.")
    event_id: str | None = Field(
        None, description="Makes the append idempotent: the same id again answers with the stored event."
    )

    def event(self, default_id: str | None = None) -> NewEvent:
        return NewEvent(
            self.type, self.content(), ts=self.ts, event_id=default_id if self.event_id is None else self.event_id
        )

    def content(self) -> Any:
        return self.data


class EventsIn(BaseModel):
    """Events to append atomically: all of them or none."""

    model_config = ConfigDict(extra="forbid")

    events: list[EventIn] = Field(min_length=1, max_length=EVENTS_PER_APPEND)


class AppendIn(RootModel[EventIn | EventsIn]):
    """One event, or several in one atomic append."""


class EarlierEventIn(EventIn):
    """An event as the earlier engines' clients send it: its data may be called payload."""

    data: Any = None
    payload: Any = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "EarlierEventIn":
        if {"data", "payload"} <= self.model_fields_set:
            raise ValueError("Send data or payload, not both.")
        return self

    def content(self) -> Any:
        return self.payload if "payload" in self.model_fields_set else self.data


class AfterQuery(BaseModel):
    """Where a page begins, strictly after."""

    after: str | None = None
    cursor: str | None = None
    limit: PageSize = 100

    @model_validator(mode="after")
    def _one_of_both(self) -> "AfterQuery":
        if self.after is not None and self.cursor is not None:
            raise ValueError("Send after or cursor, not both.")
        return self

    @property
    def token(self) -> str | None:
        return self.cursor if self.after is None else self.after


class EventOut(BaseModel):
    """A stored event. `position` is its place in the order; `cursor` asks for what comes after it."""

    event_id: str
    position: int
    type: str
    data: Any
    ts: datetime
    recorded_at: datetime
    surface: str
    cursor: str


class EventsOut(BaseModel):
    """The events of one append, in the order given."""

    events: list[EventOut]


class AppendedOut(RootModel[EventOut | EventsOut]):
    """What an append has stored, in the form in which it was sent."""


class EventPageOut(BaseModel):
    """Consecutive events. `up_to_date`: nothing followed when it was read, and then `next_cursor` is null."""

    items: list[EventOut]
    next_cursor: str | None
    up_to_date: bool


def event_body(event: StoredEvent) -> dict[str, Any]:
    """Return an event as answers and streams show it."""
    return {
        "event_id": event.event_id,
        "position": event.position,
        "type": event.type,
        "data": event.data,
        "ts": event.ts,
        "recorded_at": event.recorded_at,
        "surface": event.surface,
    }


def event_answer(event: StoredEvent) -> dict[str, Any]:
    """Return an event with the cursor to go on from, which a stream sends as its id."""
    return {**event_body(event), "cursor": event.cursor}
