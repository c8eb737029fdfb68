"""The errors of rules, cache and files, by the names that agents catch; `storage.kinds.rules_errors` says what each means."""

from storage.kinds.rules_errors import (
    BlueStarError,
    CacheError,
    DamagedRules,
    FileStoreError,
    NotPublishedError,
    RevisionGone,
    RuleNotFoundError,
    RulesRefused,
    StoreError,
)

__all__ = [
    "BlueStarError",
    "CacheError",
    "DamagedRules",
    "FileStoreError",
    "NotPublishedError",
    "RevisionGone",
    "RuleNotFoundError",
    "RulesRefused",
    "StoreError",
]
