"""The control plane's tables: who may ask, where their data lives, and who changed that.

Nothing here changes a route: every change goes through `routing.changes`, which writes the row, its audit entry and the
snapshot revision in one transaction.
"""

from typing import Any, ClassVar, Final, NoReturn

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce
from uuid_utils.compat import uuid7

from northstar.errors import Conflict
from northstar.modes import LAB, MODES, SYSTEM_TENANT, T_SYSTEM
from routing import health_models  # noqa: F401 - their tables are this app's too
from routing.patterns import env_validator, identifier_validator, surface_validator, tenant_validator

LAB_DEPLOYMENT: Final = "lab"


class Tenant(models.Model):
    """A customer, or `t_system`, whose data and routes are kept apart from everybody else's."""

    tenant_id = models.CharField(max_length=64, primary_key=True, validators=[tenant_validator])
    name = models.CharField(max_length=200)
    mode = models.CharField(max_length=16, choices=[(mode, mode) for mode in MODES], default=LAB)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["tenant_id"]

    def __str__(self) -> str:
        return self.tenant_id

    @property
    def effective_mode(self) -> str:
        """The mode that policy asks about: `t_system` is `lab` in a lab deployment and `t_system` in any other."""
        if self.tenant_id != SYSTEM_TENANT:
            return self.mode
        return LAB if settings.NORTHSTAR_DEPLOYMENT == LAB_DEPLOYMENT else T_SYSTEM


class ApiKey(models.Model):
    """A machine's credential. Only a hash of its secret is kept; the token itself is shown once, when it is issued."""

    key_id = models.CharField(max_length=12, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(
        max_length=200, help_text="What uses this key, so that you know what stops when it is revoked."
    )
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list)
    envs = models.JSONField(default=list, blank=True, help_text="Environments this key may use; empty means all.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "key_id"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"ns_{self.key_id}"


class SurfaceAlias(models.Model):
    """Another spelling of a surface id. Looked up before the id is folded to ASCII."""

    alias = models.CharField(max_length=128, unique=True)
    canonical = models.CharField(max_length=128, validators=[surface_validator])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["canonical", "alias"]
        verbose_name_plural = "surface aliases"

    def __str__(self) -> str:
        return f"{self.alias} → {self.canonical}"


class Route(models.Model):
    """Which backend serves one resource kind for one tenant, environment and project. Nothing else selects a backend.

    `config` never holds a clear secret: secrets lie encrypted in `sealed_secrets`. `revision` grows by one per change.
    """

    resource_kind = models.CharField(max_length=64)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="routes")
    env = models.CharField(max_length=31, default="dev", validators=[env_validator])
    project_id = models.CharField(max_length=128, null=True, blank=True, validators=[identifier_validator])  # noqa: DJ001 - absent is not a name
    backend_type = models.CharField(max_length=32)
    config = models.JSONField(default=dict, blank=True)
    sealed_secrets = models.TextField(blank=True, editable=False)
    tier = models.CharField(max_length=64, blank=True)
    cost_notes = models.TextField(blank=True)
    previous_backend_type = models.CharField(max_length=32, blank=True, editable=False)
    switch_rationale = models.TextField(blank=True)
    last_switch_time = models.DateTimeField(null=True, blank=True, editable=False)
    revision = models.PositiveBigIntegerField(default=1, editable=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=200, editable=False)
    updated_at = models.DateTimeField(editable=False)
    updated_by = models.CharField(max_length=200, editable=False)

    class Meta:
        ordering = ["tenant", "env", "resource_kind", "project_id"]
        permissions = [
            ("view_stored", "Can see what routes keep: the data of tenants"),
            ("change_stored", "Can change what routes keep"),
            ("administer_stored", "Can change what routes keep where that is an administrator's business"),
        ]
        constraints = [
            # SQLite silently ignores nulls_distinct=False, so null becomes a value that no project has.
            models.UniqueConstraint(
                "resource_kind",
                "tenant",
                "env",
                Coalesce("project_id", models.Value("")),
                name="one_route_per_key",
                violation_error_message="There is a route for this kind, tenant, env and project already. Change that one.",
            )
        ]

    def __str__(self) -> str:
        where = f"{self.tenant_id}/{self.env}" + (f"/{self.project_id}" if self.project_id else "")
        return f"{self.resource_kind} in {where} on {self.backend_type}"


class _AppendOnlyQuerySet(models.QuerySet["RouteChange"]):
    def _refuse(self) -> NoReturn:
        raise Conflict("The audit trail is append-only.", fix="Record a further change instead.")

    def update(self, **_kwargs: Any) -> NoReturn:
        self._refuse()

    def delete(self) -> NoReturn:
        self._refuse()

    def bulk_update(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        self._refuse()


class RouteChange(models.Model):
    """One row of the audit trail: who changed what, when, why, and the hash that ties it to the row before.

    `before` and `after` show secrets as `****`. Rows are never changed or deleted: the model refuses, and so do triggers.
    """

    change_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=200, db_index=True)
    action = models.CharField(max_length=32)
    subject = models.CharField(max_length=200, help_text="What was changed: route:12, tenant:acme, key:…, alias:….")
    route_id = models.BigIntegerField(null=True, db_index=True)
    resource_kind = models.CharField(max_length=64, blank=True)
    tenant_id = models.CharField(max_length=64, blank=True, db_index=True)
    env = models.CharField(max_length=31, blank=True)
    project_id = models.CharField(max_length=128, null=True)  # noqa: DJ001 - absent is not a name
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    rationale = models.TextField(blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    objects: ClassVar[models.Manager["RouteChange"]] = models.Manager.from_queryset(_AppendOnlyQuerySet)()

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.subject} by {self.actor}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the row. Raises Conflict when it is already stored."""
        if not self._state.adding:
            raise Conflict("The audit trail is append-only.", fix="Record a further change instead.")
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: raises Conflict."""
        raise Conflict("The audit trail is append-only.", fix="Record a further change instead.")


class OutboxEntry(models.Model):
    """A control-plane event on its way to one stream. It waits until that stream took it; its event id is the change id."""

    change = models.ForeignKey(RouteChange, on_delete=models.PROTECT, related_name="deliveries")
    tenant_id = models.CharField(max_length=64)
    env = models.CharField(max_length=31)
    stream_id = models.CharField(max_length=64)
    payload = models.JSONField()
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    last_error = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "outbox entries"
        indexes = [
            models.Index(fields=["id"], name="outbox_waiting", condition=models.Q(delivered_at__isnull=True)),
            models.Index(
                fields=["tenant_id", "env", "stream_id", "id"],
                name="outbox_waiting_for_stream",
                condition=models.Q(delivered_at__isnull=True),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["change", "tenant_id", "stream_id"], name="one_delivery_per_stream")
        ]

    def __str__(self) -> str:
        return f"{self.payload.get('action', 'event')} to {self.stream_id} of {self.tenant_id}/{self.env}"


class RegistryMirror(models.Model):
    """The one row that says how far the routing registry mirrors this database, as the relay last saw it, and what holds it up.

    The registry's own anchor is the truth, and where the relay goes on: this row is for people and for pauses.
    """

    ROW: Final = 1

    mirrored = models.PositiveBigIntegerField(default=0)
    mirrored_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_registry_mirror")]

    def __str__(self) -> str:
        return f"mirrored up to audit row {self.mirrored}"


class StrategyLock(models.Model):
    """Forbids whatever could move the data of one route, or of a tenant's whole environment, until it is released or runs out.

    It names a route by its four-part key, not by its row, so it outlasts the route: what is deleted cannot be created
    elsewhere. Without a resource kind it covers all routes of the environment. `routing.changes.locks` alone reads and writes it.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="locks")
    env = models.CharField(max_length=31, validators=[env_validator])
    resource_kind = models.CharField(max_length=64, blank=True)
    project_id = models.CharField(max_length=128, null=True, blank=True)  # noqa: DJ001 - absent is not a name
    owner = models.CharField(max_length=200)
    reason = models.TextField()
    until = models.DateTimeField(null=True, blank=True)
    holds_ingest = models.BooleanField(
        "holds ingestion",
        default=False,
        help_text="Also refuse analytics records while the lock holds; they are kept, and may be replayed after its end.",
    )
    created_at = models.DateTimeField(editable=False)
    released_at = models.DateTimeField(null=True, blank=True, editable=False)
    released_by = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "env"], name="locks_of_a_place")]
        permissions = [("override_lock", "Can pass another's strategy lock, or release it, with a rationale")]

    def __str__(self) -> str:
        what = self.resource_kind or "all routes"
        where = f"{self.tenant_id}/{self.env}" + (f"/{self.project_id}" if self.project_id else "")
        return f"{what} in {where}, locked by {self.owner}: {self.reason}"


class SnapshotRevision(models.Model):
    """The one row that every change locks first: it orders them all, and tells other processes to reload.

    `audit_rows` (the number of the last row) and `audit_head` (its hash) remember the end of the audit chain, so that rows cut
    off its tail are missed.
    """

    ROW: Final = 1

    revision = models.PositiveBigIntegerField(default=0)
    audit_rows = models.PositiveBigIntegerField(default=0)
    audit_head = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_snapshot_revision")]

    def __str__(self) -> str:
        return f"revision {self.revision}"


class IdempotencyRecord(models.Model):
    """The first answer to a POST with an Idempotency-Key; `status` is null while the first request still runs."""

    tenant_id = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.BinaryField(default=b"")
    content_type = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant_id", "key"], name="one_answer_per_idempotency_key")]

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.key}"
