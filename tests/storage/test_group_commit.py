"""Callers share commits, and each gets its own answer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.group_commit import GroupCommit


class Gate:
    """A commit that stops until it is let through, and records its batches."""

    def __init__(self, outcome=lambda item: item * 10):
        self.batches = []
        self.entered = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.outcome = outcome

    def __call__(self, items):
        self.batches.append(list(items))
        self.entered.release()
        assert self.let.acquire(timeout=30)
        return [self.outcome(item) for item in items]


def queued(group, count):
    """Wait until so many callers stand in the queue; the queue itself is the event."""
    while len(group._queue) < count:
        threading.Event().wait(0.001)


def held_up(gate, group, pool, items):
    """Submit the first item, and the others while its commit runs."""
    first = pool.submit(group.submit, items[0])
    assert gate.entered.acquire(timeout=30)
    futures = [first]
    for count, item in enumerate(items[1:], start=1):
        futures.append(pool.submit(group.submit, item))
        queued(group, count)
    return futures


def test_a_lone_caller_commits_at_once():
    group: GroupCommit[int, int] = GroupCommit(lambda items: [item + 1 for item in items])
    assert group.submit(1) == 2


def test_callers_that_come_during_a_commit_share_the_next_in_order():
    gate = Gate()
    group = GroupCommit(gate)
    with ThreadPoolExecutor(8) as pool:
        futures = held_up(gate, group, pool, [1, 2, 3, 4])
        gate.let.release(2)
        assert [future.result(30) for future in futures] == [10, 20, 30, 40]
    assert gate.batches == [[1], [2, 3, 4]]


def test_a_batch_is_never_longer_than_asked():
    gate = Gate()
    group = GroupCommit(gate, most=2)
    with ThreadPoolExecutor(8) as pool:
        futures = held_up(gate, group, pool, [1, 2, 3, 4])
        gate.let.release(3)
        assert [future.result(30) for future in futures] == [10, 20, 30, 40]
    assert gate.batches == [[1], [2, 3], [4]]


def test_one_callers_error_is_its_own():
    gate = Gate(lambda item: KeyError(item) if item == 2 else item)
    group = GroupCommit(gate)
    with ThreadPoolExecutor(8) as pool:
        one, two, three = held_up(gate, group, pool, [1, 2, 3])
        gate.let.release(2)
        assert (one.result(30), three.result(30)) == (1, 3)
        with pytest.raises(KeyError):
            two.result(30)


def test_a_failed_commit_reaches_its_whole_batch_and_nobody_else():
    def commit(items):
        outcomes = gate(items)
        if 2 in items:
            raise OSError("disk full")
        return outcomes

    gate = Gate()
    group = GroupCommit(commit)
    with ThreadPoolExecutor(8) as pool:
        one, two, three = held_up(gate, group, pool, [1, 2, 3])
        gate.let.release(2)
        assert one.result(30) == 10
        for failed in (two, three):
            with pytest.raises(OSError, match="disk full"):
                failed.result(30)
    gate.let.release()
    assert group.submit(4) == 40


def test_a_commit_that_answers_too_little_is_an_error_not_a_hang():
    group: GroupCommit[int, int] = GroupCommit(lambda items: [])
    with pytest.raises(ValueError, match="zip"):
        group.submit(1)


def test_an_interrupted_leader_hands_on():
    gate = Gate()

    def commit(items):
        gate(items)
        if 1 in items:
            raise KeyboardInterrupt
        return items

    group = GroupCommit(commit)
    with ThreadPoolExecutor(8) as pool:
        one, two = held_up(gate, group, pool, [1, 2])
        gate.let.release(2)
        with pytest.raises(KeyboardInterrupt):
            one.result(30)
        assert two.result(30) == 2


def test_no_answer_is_lost_among_many_threads():
    committed = []

    def commit(items):
        committed.extend(items)
        return [item * 2 for item in items]

    group = GroupCommit(commit, most=7)

    def work(worker):
        return all(group.submit(worker * 1000 + count) == 2 * (worker * 1000 + count) for count in range(200))

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(work, range(32)))
    assert len(committed) == len(set(committed)) == 32 * 200
