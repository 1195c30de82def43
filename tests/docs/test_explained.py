"""Each anomaly and each cause that a report can name has a page, and `lab explain` prints it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

import lab.checkers.causes
from lab.checkers.isolation.anomalies import MEANING, AnomalyName, promised
from lab.commands.explain import command
from lab.errors import UsageError
from lab.report.explained import page_of, pages, slug_of
from lab.scenario.declare import ISOLATION_LEVELS


def causes() -> set[str]:
    """The first argument of each `Cause(…)` in the rules: a text, a name for one, or a choice between two."""
    found: set[str] = set()
    for path in Path(lab.checkers.causes.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Cause":
                found |= _texts(call.args[0], tree)
    return found


def _texts(node: ast.expr, tree: ast.Module) -> set[str]:
    if isinstance(node, ast.IfExp):
        return _texts(node.body, tree) | _texts(node.orelse, tree)
    if isinstance(node, ast.Name):
        assigned = (each for each in tree.body if isinstance(each, ast.Assign))
        (node,) = (each.value for each in assigned if getattr(each.targets[0], "id", "") == node.id)
    assert isinstance(node, ast.Constant), f"line {node.lineno}: which cause is that?"
    return {node.value}


def test_there_is_a_page_for_each_name_and_none_without():
    named = {("causes", slug_of(each)) for each in causes()} | {("anomalies", slug_of(each)) for each in AnomalyName}
    assert set(pages()) == named
    assert len(causes()) > 20


@pytest.mark.parametrize("name", AnomalyName)
def test_the_page_of_an_anomaly_says_what_the_code_says_of_the_levels(name):
    """The same function decides what a report calls a promise that was broken."""
    text = page_of(name)
    assert text.startswith(f"# {name}: {MEANING[name]}\n")
    cells = ("prevented" if promised(name, [level], [level]) else "possible" for level in ISOLATION_LEVELS)
    assert f"| {' | '.join(ISOLATION_LEVELS)} |\n|---|---|---|\n| {' | '.join(cells)} |\n" in text


def test_explain_prints_pages_without_what_is_for_the_site():
    shown = CliRunner().invoke(command, ["read-modify-write", "P4"])
    assert shown.exit_code == 0
    assert "# Read-modify-write\n" in shown.output
    assert "# P4: lost update\n" in shown.output
    assert "<!--" not in shown.output
    assert "](" not in shown.output


def test_explain_without_a_name_prints_the_names():
    shown = CliRunner().invoke(command, []).output.split()
    assert shown[::2] == [folder for folder, _ in pages()]
    assert shown[1::2] == [slug for _, slug in pages()]


def test_explain_says_what_is_there_where_a_name_has_no_page():
    with pytest.raises(UsageError, match="there is no page of 'nonsense'; `lab explain` prints the names"):
        CliRunner().invoke(command, ["nonsense"], catch_exceptions=False)
