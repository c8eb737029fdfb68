"""Which scopes hold media: the one thing about them that no store can be asked."""

from django.db import models


class MediaScope(models.Model):
    """Where media were stored: a tenant's environment, project (empty: none) and surface. A sweep finds there what was begun.

    A row is written before the first intent in its scope, and may stay for ever.
    """

    tenant_id = models.CharField(max_length=64)
    env = models.CharField(max_length=31)
    project_id = models.CharField(max_length=128, blank=True)
    surface_id = models.CharField(max_length=128)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["tenant_id", "env", "project_id", "surface_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "env", "project_id", "surface_id"], name="one_row_per_media_scope"
            )
        ]

    def __str__(self) -> str:
        project = f"/@{self.project_id}" if self.project_id else ""
        return f"{self.tenant_id}/{self.env}{project}/{self.surface_id}"
