"""Finding scenarios: by target, by short name, by file, and all there are."""

from __future__ import annotations

import sys
from textwrap import indent

import pytest

from lab.errors import ScenarioError, UsageError
from lab.scenario.catalogue import entries
from lab.scenario.declare import actors_of, kind_of, target_of
from lab.scenario.registry import discover, instance_of, resolve

CLASS = """
from dataclasses import dataclass
from lab import Scenario, actor, planted_bug

@dataclass(frozen=True)
class {name}(Scenario):
    size: int = 1

    @actor
    async def ann(self, session): ...

    @actor
    async def ben(self, session): ...
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `shop` with a sub-package, a private base and a class that is only imported."""
    folder = tmp_path / "shop"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "deep" / "__init__.py").write_text("")
    (folder / "b.py").write_text(CLASS.format(name="Sale") + CLASS.format(name="_Base") + "class Bare(Scenario): ...\n")
    (folder / "a.py").write_text("from shop.b import Sale\n" + CLASS.format(name="Refund"))
    (folder / "deep" / "c.py").write_text(CLASS.format(name="Sale"))
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [each for each in sys.modules if each == "shop" or each.startswith("shop.")]:
        del sys.modules[name]


def test_discovery_finds_each_scenario_once_where_it_is_defined(package):
    """Modules in order of name, sub-packages too; no imported classes, private bases or classes without actors."""
    assert [target_of(cls) for cls in discover("shop")] == ["shop.a:Refund", "shop.b:Sale", "shop.deep.c:Sale"]


def test_a_target_may_name_a_file_and_an_inner_class(package):
    """`shop/b.py:Sale` is `shop.b:Sale`; a class inside a class is reached with a dot."""
    assert resolve("shop/b.py:Sale") is resolve("shop.b:Sale")
    assert resolve("shop/b.py::Sale") is resolve("shop.b:Sale")
    inner = CLASS.format(name="In").partition("@dataclass")
    (package / "inner.py").write_text(inner[0] + "class Outer:\n" + indent("".join(inner[1:]), "    "))
    assert resolve("shop.inner:Outer.In").__qualname__ == "Outer.In"


def test_a_short_name_that_two_scenarios_have_is_ambiguous(package, monkeypatch):
    """The error names both, so that one can be chosen."""
    monkeypatch.chdir(package.parent)
    (package.parent / "pyproject.toml").write_text('[tool.lab]\nscenarios = ["shop"]\n')
    with pytest.raises(UsageError, match=r"Sale is ambiguous: shop\.b:Sale, shop\.deep\.c:Sale"):
        resolve("Sale")
    assert target_of(resolve("Refund")) == "shop.a:Refund"
    with pytest.raises(UsageError, match=r"did you mean shop\.a:Refund\?"):
        resolve("refnd")


def test_one_module_that_does_not_import_is_named_with_its_place(package):
    """A syntax error deep in a package is told with file and line."""
    (package / "deep" / "broken.py").write_text("x = 1\ndef (\n")
    with pytest.raises(UsageError, match=r"module shop\.deep\.broken does not import: SyntaxError: .*broken\.py:2\)"):
        discover("shop")


@pytest.mark.parametrize("error", ["ValueError", "TypeError", "KeyError", "SystemExit"])
def test_whatever_a_module_raises_is_its_own_error(package, error):
    """No error of a user's module passes for a wrong name of it."""
    (package / "raises.py").write_text(f"raise {error}('in my own code')\n")
    with pytest.raises(
        UsageError, match=rf"module shop\.raises does not import: {error}: .*in my own code.*raises\.py:1"
    ):
        resolve("shop.raises:X")


def test_a_missing_submodule_says_what_is_missing():
    """`shop.nowhere` and `nowhere.shop` name the part that is not there."""
    with pytest.raises(UsageError, match=r"no module named 'nowhere\.shop' \(there is no nowhere\)"):
        resolve("nowhere.shop:X")


def test_an_instance_is_made_of_defaults_and_validated(package):
    """Parameters take their defaults; a class that cannot run is refused before anything is started."""
    assert instance_of("shop.b:Sale").size == 1
    with pytest.raises(ScenarioError, match="has no actor"):
        instance_of("shop.b:Bare")


def test_the_catalogue_tells_of_every_shipped_scenario():
    """Each entry resolves to its scenario; a planted bug names a right variant that is listed too."""
    listed = entries()
    targets = {each["target"] for each in listed}
    assert len(targets) == len(listed)
    for each in listed:
        cls = resolve(each["target"])
        assert each["kind"] == kind_of(cls)
        assert each["actors"] == [actor.name for actor in actors_of(cls)]
        assert (each["kind"] == "planted") == (each["of"] is not None)
        assert each["of"] is None or each["of"] in targets
