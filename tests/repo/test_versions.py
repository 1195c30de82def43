"""The lowest versions that CI tries are those that pyproject.toml allows, and what is pinned lies within the bounds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from helpers.private import rows
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [Requirement(each) for each in PROJECT["dependencies"]]
FOR_TESTS = [Requirement(each) for each in PROJECT["optional-dependencies"]["test"]]
FOR_DOCS = [Requirement(each) for each in PROJECT["optional-dependencies"]["docs"]]
NOT_RUN = {
    *("coverage", "mypy", "ruff", "pytest-anyio", "jsonschema", "pg8000", "psycopg", "psycopg2-binary", "ipython"),
    *("distributed", "playwright", "axe-playwright-python"),
    *("pydantic-settings", "sqlmodel", "tenacity", "matplotlib", "scipy"),
}
"""What the smoke set does without, and an empty package that names the plugin."""


def pins(path: str) -> dict[str, Version]:
    found = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / path).read_text(), re.MULTILINE)
    return {name.lower(): Version(version) for name, version in found}


def lowest(requirement: Requirement) -> Version:
    (found,) = (Version(each.version) for each in requirement.specifier if each.operator == ">=")
    return found


def test_the_lowest_set_is_what_the_project_allows():
    allowed = {each.name.lower(): lowest(each) for each in [*NEEDED, *FOR_TESTS] if each.name not in NOT_RUN}
    assert pins(".ci/lowest.txt") == allowed


@pytest.mark.parametrize("requirement", [*NEEDED, *FOR_TESTS, *FOR_DOCS], ids=lambda each: each.name)
def test_the_pinned_version_is_allowed(requirement):
    assert requirement.specifier.contains(pins("constraints.txt")[requirement.name.lower()])


def test_a_library_with_private_attributes_has_an_upper_bound():
    """Python's own are asyncio's, and an upper bound of Python would shut out users for whom all works."""
    libraries = {row.library.lower() for row in rows(ROOT / "docs/architecture.md")} - {"python"}
    bounded = {each.name.lower() for each in NEEDED if any(part.operator == "<" for part in each.specifier)}
    assert libraries <= bounded
