"""Budgets: how much of what a provider sells a tenant, a project or a user may use in a window, counted exactly."""
