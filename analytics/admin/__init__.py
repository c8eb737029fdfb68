"""The back office's pages of analytics: contracts, budgets, counts and records. Each is a page over a store."""

from analytics.admin import browser, budgets, contracts, records

__all__ = ["browser", "budgets", "contracts", "records"]
