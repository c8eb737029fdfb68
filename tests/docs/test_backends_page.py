"""The page on backends tells the truth: every example config is one that a route may have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from routing.configs import parse_config
from storage import registry
from storage.registry import KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "backends.md"
BACKENDS = {
    "DynamoDB": "dynamodb",
    "Firestore": "firestore",
    "Cosmos DB": "cosmos",
    "Azure Blob Storage": "azure_blob",
    "Google Cloud Storage": "gcs",
    "Amazon S3": "s3",
}


def examples() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title = section.partition("\n")[0]
        found += [
            (BACKENDS[title], json.loads(block)) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL)
        ]
    return found


def test_each_backend_has_examples():
    assert {backend for backend, _ in examples()} == set(BACKENDS.values())


def served() -> list[tuple[str, str, dict[str, Any]]]:
    """Each example with each kind that its backend serves."""
    return [
        (kind, backend, config)
        for backend, config in examples()
        for kind in KINDS
        if KINDS[kind].primitive in registry.BACKENDS[backend].serves
    ]


@pytest.mark.parametrize(("kind", "backend", "config"), served())
def test_an_example_config_is_accepted(kind, backend, config):
    assert parse_config(kind, backend, config).model_fields_set == set(config)
