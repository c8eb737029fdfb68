"""The tables of analytics: what the dashboard shows of budgets without asking any store."""

from typing import ClassVar

from django.db import models


class BudgetNearLimit(models.Model):
    """A budget that is near its limit, as the last sweep saw it. `share` is the part of the limit that is taken, in percent."""

    key = models.CharField(max_length=700, primary_key=True)
    tenant_id = models.CharField(max_length=64)
    env = models.CharField(max_length=31)
    project_id = models.CharField(max_length=128, blank=True)
    user_id = models.CharField(max_length=128, blank=True)
    provider = models.CharField(max_length=64)
    metric = models.CharField(max_length=64)
    level = models.CharField(max_length=16)
    taken = models.CharField(max_length=40)
    limit = models.CharField(max_length=40, blank=True)
    share = models.PositiveIntegerField()
    why = models.CharField(max_length=200)
    resets_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-share", "key"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["tenant_id", "env"], name="near_limits_of_a_place")
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.metric} of {self.place}"

    @property
    def place(self) -> str:
        """Whose budget it is."""
        return "/".join(part for part in (self.tenant_id, self.env, self.project_id, self.user_id) if part)
