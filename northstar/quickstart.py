"""A running lab from nothing: tables, an administrator, tenants, routes, contracts, keys. Each is left alone where it stands.

In a lab deployment the credentials are kept in NORTHSTAR_HOME/quickstart.json, readable by its owner alone, so that every run
can print the same ones. In any other deployment nothing is kept: a secret is shown by the run that makes it and never again.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils.crypto import get_random_string

from analytics.budgets.policies import Terms
from analytics.budgets.setting import Target, own_policy, set_policy
from analytics.contracts.seeding import seed_contracts
from northstar.context import RequestContext
from northstar.errors import AlreadyExists, Unauthenticated
from northstar.modes import LAB, SYSTEM_TENANT, T_SYSTEM
from routing import keys
from routing.changes import Cause, RouteDraft, create_route, create_tenant
from routing.keys import ACT_FOR_TENANTS, OVERRIDE_LOCKS, SCOPES, issue_key
from routing.models import LAB_DEPLOYMENT, ApiKey
from routing.operations.mirror import mirror_changes
from routing.operations.relay import relay_outbox
from routing.resolve import snapshot
from routing.roles import ensure_groups
from storage.documents import ABSENT
from storage.registry import KINDS

ADMIN: Final = "admin"
DEMO_TENANT: Final = "t_demo"
DEFAULT_ENV: Final = "dev"
CAUSE: Final = Cause("command:quickstart")
OPERATOR_LABEL: Final = "quickstart operator"
TENANT_SCOPES: Final = tuple(scope for scope in SCOPES if scope not in {ACT_FOR_TENANTS, OVERRIDE_LOCKS})
PASSWORD_LENGTH: Final = 20
KEPT_FILE: Final = "quickstart.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a newcomer needs. None stands for what does not exist here, or can no longer be shown."""

    url: str
    tenant_id: str | None = None
    api_key: str | None = field(default=None, repr=False)
    operator_key: str | None = field(default=None, repr=False)
    admin_user: str = ADMIN
    admin_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The credentials, and notes without any secret about what is new and what cannot be shown."""

    credentials: Credentials
    notes: tuple[str, ...]


def is_lab() -> bool:
    """Whether this is a lab deployment: the only one with embedded backends and kept credentials."""
    return bool(settings.NORTHSTAR_DEPLOYMENT == LAB_DEPLOYMENT)


def prepare(url: str) -> Prepared:
    """Make whatever is missing, and return the credentials for the server at `url`. A second run changes nothing.

    Runs that start at the same time follow one another.
    """
    home = Path(settings.NORTHSTAR_HOME)
    home.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(home / ".quickstart.lock"):
        call_command("migrate", verbosity=0, interactive=False)
        ensure_groups()
        ensure_tenant(SYSTEM_TENANT, "Northstar itself", T_SYSTEM)
        return _prepare_lab(url, home / KEPT_FILE) if is_lab() else _prepare_deployment(url)


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process is in a block with this lock file, and keep others waiting meanwhile."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_tenant(tenant_id: str, name: str, mode: str) -> None:
    """Create the tenant unless it exists."""
    try:
        create_tenant(tenant_id, name, mode, CAUSE)
    except AlreadyExists:
        return


def ensure_filesystem_routes(tenant_id: str, env: str) -> None:
    """Give every kind that the tenant has use for a filesystem route in this environment; a route that stands is left alone."""
    for kind in (name for name, kind in KINDS.items() if tenant_id == SYSTEM_TENANT or not kind.of_system):
        try:
            create_route(RouteDraft(resource_kind=kind, tenant_id=tenant_id, env=env, backend_type="filesystem"), CAUSE)
        except AlreadyExists:
            continue


DEMO_BUDGETS: Final = (
    ("openai", "tokens", Terms(soft_limit=800_000, hard_limit=1_000_000, window="month", thresholds=("50%", "90%"))),
    ("serper", "calls", Terms(soft_limit=80, hard_limit=100, window="day")),
    ("anthropic", "requests", Terms(soft_limit=1000, window="48h")),
)
"""What `t_demo` may use: a month's tokens, a day's calls, and a rolling window that only warns."""


def ensure_demo_budgets() -> None:
    """Give `t_demo` its budgets; one that stands is left alone."""
    context = RequestContext(DEMO_TENANT, DEFAULT_ENV, LAB, actor=CAUSE.actor)
    for provider, metric, terms in DEMO_BUDGETS:
        target = Target(provider, metric, "tenant")
        if own_policy(context, target) is None:
            set_policy(context, target, terms, expect=ABSENT)


def _prepare_lab(url: str, path: Path) -> Prepared:
    ensure_tenant(DEMO_TENANT, "Demo", LAB)
    ensure_filesystem_routes(SYSTEM_TENANT, DEFAULT_ENV)
    ensure_filesystem_routes(DEMO_TENANT, DEFAULT_ENV)
    seed_contracts(_system_context(), CAUSE)
    ensure_demo_budgets()
    relay_outbox()
    mirror_changes()
    kept, notes = _read(path), list[str]()
    secrets: dict[str, str | None] = {
        "api_key": _working_key(kept.get("api_key"), DEMO_TENANT, "quickstart", TENANT_SCOPES, notes),
        "operator_key": _working_key(kept.get("operator_key"), SYSTEM_TENANT, OPERATOR_LABEL, SCOPES, notes),
        "admin_password": _admin_password(kept.get("admin_password"), notes),
    }
    if secrets != kept:
        _write(path, secrets)
    credentials = Credentials(
        url,
        DEMO_TENANT,
        api_key=secrets["api_key"],
        operator_key=secrets["operator_key"],
        admin_password=secrets["admin_password"],
    )
    return Prepared(credentials, tuple(notes))


def _system_context() -> RequestContext:
    return RequestContext(SYSTEM_TENANT, DEFAULT_ENV, snapshot().modes[SYSTEM_TENANT], actor=CAUSE.actor)


def _prepare_deployment(url: str) -> Prepared:
    operator_key = None
    notes = ["Outside of a lab deployment there is no demo tenant, and secrets are shown once."]
    password = _admin_password(None, notes)
    if any(keys.is_active(key) for key in ApiKey.objects.filter(tenant=SYSTEM_TENANT, label=OPERATOR_LABEL)):
        scopes = " ".join(f"--scope {scope}" for scope in SCOPES)
        notes.append(f"For another operator key: python manage.py apikey create --tenant {SYSTEM_TENANT} {scopes}")
    else:
        operator_key = _working_key(None, SYSTEM_TENANT, OPERATOR_LABEL, SCOPES, notes)
    return Prepared(Credentials(url, operator_key=operator_key, admin_password=password), tuple(notes))


def _working_key(token: str | None, tenant_id: str, label: str, scopes: tuple[str, ...], notes: list[str]) -> str:
    """Return the kept token while it opens everything that it should, else a new one."""
    if token and _opens(token, tenant_id, scopes):
        return token
    if token:
        notes.append(f"The kept API key of {tenant_id} does not work any more; this one is new.")
    _, token = issue_key(tenant_id, label, scopes, cause=CAUSE)
    return token


def _opens(token: str, tenant_id: str, scopes: tuple[str, ...]) -> bool:
    try:
        key = keys.verify(token)
    except Unauthenticated:
        return False
    return key.tenant_id == tenant_id and set(scopes) <= set(key.scopes) and not key.envs


def _admin_password(kept: str | None, notes: list[str]) -> str | None:
    """Return the administrator's password: a new one for a new administrator, the kept one while it works, else None.

    A password that somebody set by hand is never replaced.
    """
    users = get_user_model()
    user = users.objects.filter(username=ADMIN).first()
    if user is None:
        password = get_random_string(PASSWORD_LENGTH)
        users.objects.create_superuser(ADMIN, password=password)
        return password
    if kept and user.check_password(kept):
        return kept
    notes.append(f"{ADMIN} has a password of its own. For another one: python manage.py changepassword {ADMIN}")
    return None


def _read(path: Path) -> dict[str, str]:
    """Return what was kept. A file that is missing or damaged kept nothing."""
    try:
        kept = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: value for name, value in kept.items() if isinstance(value, str)} if isinstance(kept, dict) else {}


def _write(path: Path, secrets: dict[str, str | None]) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(secrets, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
