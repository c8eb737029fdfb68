"""Several processes on one partition: they share the lock and the log, and a forked child opens its own files."""

import subprocess
import sys

import pytest

from tests.contract.filesystem_lab import driver, index_rows, log_of, rebuilt_rows, ref

backend = "filesystem"

COUNTING = """
import sys
from pathlib import Path
from django.conf import settings
settings.configure(NORTHSTAR_HOME=Path(sys.argv[1]), NORTHSTAR_ALLOWED_ROOTS=[sys.argv[1]])
from tests.contract.filesystem_lab import driver, ref
documents = driver()
for number in range(int(sys.argv[3])):
    documents.increment(ref("counter"), {"n": 1})
    documents.put(ref(f"{sys.argv[2]}/{number}"), {"text": "x" * 20_000})
    documents.delete(ref(f"{sys.argv[2]}/{number}"))
"""

FORKING = """
import os, sys
from pathlib import Path
from django.conf import settings
settings.configure(NORTHSTAR_HOME=Path(sys.argv[1]), NORTHSTAR_ALLOWED_ROOTS=[sys.argv[1]])
from tests.contract.filesystem_lab import driver, everything, ref
documents = driver()
documents.put(ref("parent"), {})
child = os.fork()
for number in range(50):
    documents.increment(ref("counter"), {"n": 1})
    documents.put(ref("child" if child == 0 else "parent"), {"n": number})
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert everything(documents) == {"counter": ({"n": 100}, 100), "child": ({"n": 49}, 50), "parent": ({"n": 49}, 51)}
documents.close()
"""

LOCKING = """
import os, sys
from pathlib import Path
from django.conf import settings
settings.configure(NORTHSTAR_HOME=Path(sys.argv[1]), NORTHSTAR_ALLOWED_ROOTS=[sys.argv[1]])
from storage.backends.filesystem_cache import open_partitions
from tests.contract.filesystem_lab import driver, ref
driver().put(ref("k"), {})
(partition,) = open_partitions._open.values()
partition._files.lock(wait=True)
child = os.fork()
if child == 0:
    os.write(1, b".")
    sys.stdin.read()  # lives until the test lets go
    os._exit(0)
os.waitpid(child, 0)
"""


def running(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments])


@pytest.mark.line(46, 132)
def test_two_processes_count_exactly_while_logs_are_compacted(lab):
    writers = [running(COUNTING, str(lab), name, "150") for name in ("a", "b")]
    documents = driver()
    for _ in range(100):
        documents.increment(ref("counter"), {"n": 1})
    assert [writer.wait() for writer in writers] == [0, 0]
    assert documents.get(ref("counter")).fields == {"n": 400}
    assert documents.get(ref("counter")).version == 400
    documents.close()
    assert log_of(lab).stat().st_size < 2 * 150 * 20_000
    assert index_rows(log_of(lab)) == rebuilt_rows(log_of(lab), lab / "copy")


def test_a_forked_child_and_its_parent_both_go_on(lab):
    assert running(FORKING, str(lab)).wait() == 0
    assert index_rows(log_of(lab)) == rebuilt_rows(log_of(lab), lab / "copy")


def test_a_child_does_not_keep_the_lock_of_a_parent_that_died(lab):
    documents = driver()
    command = [sys.executable, "-c", LOCKING, str(lab)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout.read(1) == b"."
        parent.kill()
        parent.wait()
        assert documents.put(ref("k"), {}).version == 2
    documents.close()
