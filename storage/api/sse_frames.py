"""What stands on a Server-Sent Events connection. Each text in it is one line, so nothing stored can forge a field."""

import random
from typing import Final

from django.conf import settings

from northstar.rendering import dumps
from storage.api.stream_bodies import event_body
from storage.cursors import CURSOR_MARK
from storage.kinds.events import StoredEvent

FINISHED: Final = CURSOR_MARK + "finished"
"""The id of a reset. A client that comes back with it, as browsers do by themselves, is told to stay away (204)."""
HEARTBEAT: Final = b": heartbeat\n\n"


def event_frame(event: StoredEvent) -> bytes:
    """Return the frame of an event. Its id is the cursor that points after it."""
    # The type has no control character, a cursor is ASCII, and JSON escapes line ends.
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event.cursor.encode(), event.type.encode(), dumps(event_body(event)))


def opening_frame(cursor: str) -> bytes:
    """Return the first bytes: when to come back, and from where, should the connection break before the first event.

    A frame with an id and no data sets a client's last event id without an event that anybody would have to handle.
    """
    return b"%bid: %b\n\n" % (retry_frame(), cursor.encode())


def retry_frame() -> bytes:
    """Return when to come back. The jitter keeps clients that lost one server from arriving at the next all at once."""
    base = settings.NORTHSTAR_SSE_RETRY_MILLISECONDS
    return b"retry: %d\n\n" % random.randint(base, base + base // 2)  # noqa: S311 - jitter, not a secret


def up_to_date_frame(position: int) -> bytes:
    """Return the mark that all stored events were sent. It has no id, so the client's place stays what it was."""
    return b"event: up-to-date\ndata: %b\n\n" % dumps({"position": position})


def reset_frame(reason: str, earliest: int, tail: int) -> bytes:
    """Return why a cursor cannot be honoured, and the positions to begin from instead."""
    body = {"reason": reason, "earliest": earliest, "tail": tail}
    return b"id: %b\nevent: reset\ndata: %b\n\n" % (FINISHED.encode(), dumps(body))
