"""Pages of the back office over the rules of a tenant."""

from rules.admin import chosen, limits, pipelines, revisions

__all__ = ["chosen", "limits", "pipelines", "revisions"]
