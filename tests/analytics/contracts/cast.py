"""Contracts for tests that need no store: the shipped ones, and some made of rules."""

from datetime import UTC, datetime
from typing import Any

from analytics.contracts.compiled import CompiledContract
from analytics.contracts.model import AttributionContract, Rules
from analytics.contracts.seeds import seed

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def contract(platform: str, rules: Rules, **options: Any) -> CompiledContract:
    """A contract of these rules, ready to judge."""
    given: dict[str, Any] = {
        "contract_id": f"id-{platform}",
        "tenant_id": "acme",
        "platform": platform,
        "version": "1.0.0",
        "status": "active",
        "mode": "block",
        "rules": rules,
        "checksum": rules.checksum(),
        "created_at": NOW,
        "created_by": "test",
        "updated_at": NOW,
        "updated_by": "test",
    }
    return CompiledContract(AttributionContract(**{**given, **options}))


def shipped(platform: str, **options: Any) -> CompiledContract:
    """The contract that is shipped for a platform."""
    return contract(platform, seed(platform).rules, **options)
