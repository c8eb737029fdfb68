"""The behaviour contract as suites: written once, run over every driver."""

import pytest

# The suites are no test modules, so their assertions would otherwise fail without a word.
pytest.register_assert_rewrite(
    "tests.contract.blob_contract",
    "tests.contract.blob_contract_listing",
    "tests.contract.blob_contract_objects",
    "tests.contract.blob_contract_races",
    "tests.contract.document_contract",
    "tests.contract.document_contract_bulk",
    "tests.contract.document_contract_counters",
    "tests.contract.document_contract_expiry",
    "tests.contract.document_contract_listing",
    "tests.contract.document_contract_values",
    "tests.contract.document_contract_writes",
    "tests.contract.fault_contract",
    "tests.contract.memory_contract",
    "tests.contract.stream_contract",
)
