"""Everything there is goes to the routing registry: the first time, after a repair, or because this database shall win."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from django.db import transaction

from northstar.errors import AlreadyExists, VersionConflict
from routing import audit
from routing.audit import Cause
from routing.entries import Subject, all_subjects
from routing.operations.mirror import read_entries
from routing.operations.registry import check_ours, go_on_after, is_ours
from storage.kinds.routing_registry_store import SECTIONS, Anchor, Entry, RoutingRegistryStore, Trail

PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Pushed:
    """One entry: whether it was news to the registry; `gone` when it was removed there."""

    entry: Entry
    news: bool

    @property
    def gone(self) -> bool:
        return self.entry.data is None


def push_registry(
    registry: RoutingRegistryStore, cause: Cause, *, take_over: bool = False, prune: bool = False
) -> Iterator[Pushed]:
    """Mirror every row as it is now and anchor the trail; yield each entry.

    `prune` also removes what the registry holds and this database does not. A registry that mirrors another trail is refused
    (ForeignTrail) unless `take_over`: then this database's trail goes on after that one, and this database wins.
    """
    trail = registry.trail()
    if trail and take_over and not is_ours(trail):
        trail = go_on_after(registry, trail, cause)
    if trail:
        check_ours(trail)
    state = audit.current()
    for subjects in _pages(all_subjects()):
        yield from _save(registry, _read(subjects))
    if prune:
        yield from _prune(registry)
    _anchor(registry, Anchor(state.audit_rows, state.audit_head))


def _pages(subjects: Iterator[Subject]) -> Iterator[Sequence[Subject]]:
    while page := list(islice(subjects, PAGE)):
        yield page


def _read(subjects: Sequence[Subject]) -> tuple[Entry, ...]:
    with transaction.atomic():
        return read_entries(subjects, audit.lock())


def _save(registry: RoutingRegistryStore, entries: Sequence[Entry]) -> Iterator[Pushed]:
    news = registry.save_many(entries)
    yield from (Pushed(entry, new) for entry, new in zip(entries, news, strict=True))


def _prune(registry: RoutingRegistryStore) -> Iterator[Pushed]:
    """Remove what is not here. What was made and mirrored after the beginning has a later number, and stays."""
    number = audit.current().audit_rows
    known = {(entry.section, entry.name) for entry in _all_entries()}
    for section in SECTIONS:
        gone = [entry for entry in registry.load_all(section) if (section, entry.name) not in known]
        removed = _save(registry, [Entry(section, entry.name, number, None) for entry in gone])
        yield from (one for one in removed if one.news)


def _all_entries() -> Iterator[Entry]:
    for subjects in _pages(all_subjects()):
        yield from (entry for entry in _read(subjects) if entry.data is not None)


def _anchor(registry: RoutingRegistryStore, newest: Anchor) -> None:
    """Anchor the trail as it was at the beginning, unless the relay has anchored it, or does so in this moment."""
    trail = registry.trail()
    with suppress(VersionConflict, AlreadyExists):
        if trail is None:
            registry.keep_trail(Trail(newest))
        elif trail.newest.number < newest.number:
            registry.keep_trail(trail.moved_on(newest))
