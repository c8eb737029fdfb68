"""The house rules of CONTRIBUTING.md that a program can check: sizes, docstrings, where SDKs may be imported."""

import ast
from collections.abc import Iterable

from tests.docs.test_documents import ROOT, committed_files

FILE_LINES = 400
FUNCTION_LINES = 60
SDKS = {"azure", "boto3", "botocore", "google", "obstore"}
DRIVERS = "storage/backends/"

MODULES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in committed_files()
    if path.suffix == ".py" and path.stat().st_size
}
"""The text of every module with something in it, by its path."""


def sdks_in(nodes: Iterable[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return SDKS & {name.partition(".")[0] for name in names}


def test_no_file_is_too_long():
    assert [name for name, text in MODULES.items() if len(text.splitlines()) > FILE_LINES] == []


def test_no_function_is_too_long():
    for name, text in MODULES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, f"{name}: {node.name}"


def test_every_module_says_what_it_is_for():
    assert [name for name, text in MODULES.items() if not ast.get_docstring(ast.parse(text))] == []


def test_sdks_are_imported_by_drivers_alone():
    others = {name: text for name, text in MODULES.items() if not name.startswith((DRIVERS, "tests/", "bench/"))}
    assert [name for name, text in others.items() if sdks_in(ast.walk(ast.parse(text)))] == []


def test_drivers_import_their_sdk_when_they_use_it_and_not_before():
    drivers = {name: text for name, text in MODULES.items() if name.startswith(DRIVERS)}
    assert [name for name, text in drivers.items() if sdks_in(ast.parse(text).body)] == []
