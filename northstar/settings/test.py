"""The lab with a home of its own for each process of a test run, removed when the run ends."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Inside the home of the process that started this one: a process that is killed then leaves nothing behind either.
_home = tempfile.mkdtemp(prefix="northstar-test-", dir=os.environ.get("NORTHSTAR_TEST_HOMES"))
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.setdefault("NORTHSTAR_TEST_HOMES", _home)
os.environ["NORTHSTAR_HOME"] = _home
for _name in (
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "NORTHSTAR_ALLOWED_ENDPOINTS",
    "NORTHSTAR_ALLOWED_ROOTS",
    "NORTHSTAR_SECRETS_DIR",
    "REDIS_URL",
):
    os.environ.pop(_name, None)

from northstar.settings.lab import *  # noqa: E402, F403
from northstar.settings.lab import DATABASES, NORTHSTAR_HOME  # noqa: E402

# A file, not memory: threads of one test then behave as they do in a server.
DATABASES["default"]["TEST"] = {"NAME": str(Path(NORTHSTAR_HOME) / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
