"""The back office's pages of analytics: contracts, budgets, counts and records. Each is a page over a store."""

from analytics.admin import browser, budgets, contracts, near, records

__all__ = ["browser", "budgets", "contracts", "near", "records"]
