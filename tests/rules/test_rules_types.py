"""No float is in the path of a rule's number, from the file to the answer: the types of everything on the way."""

import ast
import inspect
from types import ModuleType

import pytest

from rules import cache, files, persistence, protocols
from rules.api import bodies, publishing, reading, records
from storage.kinds import (
    rules_documents,
    rules_exact,
    rules_history,
    rules_layout,
    rules_publishing,
    rules_reading,
    rules_records,
    rules_revisions,
    rules_rows,
    rules_store,
)

PATH = (
    bodies,
    cache,
    files,
    persistence,
    protocols,
    publishing,
    reading,
    records,
    rules_documents,
    rules_exact,
    rules_history,
    rules_layout,
    rules_publishing,
    rules_reading,
    rules_records,
    rules_revisions,
    rules_rows,
    rules_store,
)
ALLOWED = {"max_stale", "isinstance"}
"""A number of seconds, and the check that refuses floats."""


@pytest.mark.parametrize("module", PATH, ids=[module.__name__ for module in PATH])
def test_nothing_that_holds_a_number_is_a_float(module: ModuleType):
    tree = ast.parse(inspect.getsource(module))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    floats: list[ast.AST] = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "float"]
    floats += [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    assert [ast.unparse(_around(node, parents)) for node in floats if not _is_allowed(node, parents)] == []


def _around(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.AST:
    while not isinstance(node, ast.arg | ast.AnnAssign | ast.Call | ast.stmt):
        node = parents[node]
    return node


def _is_allowed(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    around = _around(node, parents)
    name = around.arg if isinstance(around, ast.arg) else ast.unparse(getattr(around, "func", node))
    return name in ALLOWED
