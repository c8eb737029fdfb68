"""How one process's change reaches the others at once: a notice of new routes, of new rules, of each stream that has grown."""

import json
import logging
from dataclasses import astuple
from typing import Any, Final

from northstar.notices import notices
from routing.signals import route_changed
from routing.snapshot import cache
from storage.errors import BackendUnavailable
from storage.keys import Scope
from storage.kinds.events import events_appended, events_elsewhere
from storage.kinds.rules_knowledge import look_again_at, rules_published

logger = logging.getLogger(__name__)

REVISION: Final = "revision"
STREAM: Final = "stream"
RULES: Final = "rules"


def announce_changes() -> None:
    """From now on, tell the other processes what this one changes, where a Redis is configured. Called when Django starts."""
    if notices() is not None:
        route_changed.connect(_announce_revision, dispatch_uid="announce-revision")
        events_appended.connect(_announce_growth, dispatch_uid="announce-growth")
        rules_published.connect(_announce_rules, dispatch_uid="announce-rules")


def hear_changes() -> None:
    """Begin to listen to the other processes. Called by each process that serves."""
    mine = notices()
    if mine is not None:
        mine.on(REVISION, _look_again, on_connect=_look_again)
        mine.on(STREAM, _wake_stream)
        mine.on(RULES, _look_at_rules)
        mine.listen()


def _announce_revision(**_signal: Any) -> None:
    _send(REVISION, "")


def _announce_growth(*, scope: Scope, stream_id: str, **_signal: Any) -> None:
    _send(STREAM, json.dumps([*astuple(scope), stream_id]))


def _announce_rules(*, scope: Scope, **_signal: Any) -> None:
    _send(RULES, json.dumps(astuple(scope)))


def _send(topic: str, text: str) -> None:
    mine = notices()
    if mine is not None:
        mine.send(topic, text)


def _look_again(_text: str = "") -> None:
    try:
        cache.look_again()
    except BackendUnavailable as error:
        logger.warning("A change was announced, but the routes could not be loaded: %s", error)


def _wake_stream(text: str) -> None:
    try:
        *parts, stream_id = json.loads(text)
        scope = Scope(*parts)
    except (ValueError, TypeError):  # of another release, during an upgrade
        return
    events_elsewhere.send(sender=None, scope=scope, stream_id=stream_id)


def _look_at_rules(text: str) -> None:
    try:
        scope = Scope(*json.loads(text))
    except (ValueError, TypeError):  # of another release, during an upgrade
        return
    look_again_at(scope)
