"""What is known of routes and processes beside the truth: each row may be lost without harm, and none is audited."""

from typing import ClassVar, Final

from django.db import models

UNKNOWN: Final = "unknown"
WORKING: Final = "ok"
FAILING: Final = "failing"


class RouteHealth(models.Model):
    """How a route's service does: what its last probe saw, when the next one is due, and the last failure of a request.

    One row per route. A process that wants to probe moves `next_probe_at` on first, so that only one does.
    """

    route = models.OneToOneField("routing.Route", primary_key=True, on_delete=models.CASCADE, related_name="health")
    ok = models.BooleanField(null=True)
    probed_at = models.DateTimeField(null=True)
    probed_revision = models.PositiveBigIntegerField(default=0)
    steps = models.JSONField(default=list)
    error_code = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    fix = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0)
    next_probe_at = models.DateTimeField()
    failed_at = models.DateTimeField(null=True)
    failed_operation = models.CharField(max_length=32, blank=True)
    failed_code = models.CharField(max_length=64, blank=True)
    failed_error = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "route health"

    def __str__(self) -> str:
        return f"route {self.route_id}: {self.state}"

    @property
    def state(self) -> str:
        """`ok` or `failing`, as the last probe saw it; `unknown` before the first."""
        return {None: UNKNOWN, True: WORKING, False: FAILING}[self.ok]


class RouteUsage(models.Model):
    """How much of one measure a route's requests have used on one day (UTC), all processes together.

    `route_id` outlives the route: what a deleted one has used is history.
    """

    route_id = models.BigIntegerField()
    day = models.DateField(db_index=True)
    measure = models.CharField(max_length=32)
    amount = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["route_id", "day", "measure"], name="one_amount_per_day_and_measure")
        ]

    def __str__(self) -> str:
        return f"route {self.route_id} on {self.day}: {self.amount} {self.measure}"


class ServerProcess(models.Model):
    """A server process, as it said of itself when it was last heard: which snapshot revision it has, and since when."""

    name = models.CharField(max_length=200, primary_key=True)
    role = models.CharField(max_length=16)
    started_at = models.DateTimeField()
    revision = models.BigIntegerField()
    revision_since = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "server processes"

    def __str__(self) -> str:
        return f"{self.name} at revision {self.revision}"
