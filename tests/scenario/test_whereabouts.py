"""What a token may have imported, found out without importing anything."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from helpers.lab_program import environment, lab

from lab.errors import UsageError
from lab.model.decision import Go
from lab.model.replay_token import ReplayToken, encode
from lab.model.schedule import Schedule
from lab.scenario.whereabouts import whereabouts_of

RUNS = "import pathlib\npathlib.Path('it-was-run').touch()\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of somebody's, with a package whose modules leave a mark when they are run."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text(RUNS)
    (tmp_path / "shop" / "orders.py").write_text(RUNS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_module_of_the_project_is_found_and_not_run(project):
    found = whereabouts_of("shop.orders")
    assert (found.file, found.kind) == (str(project / "shop" / "orders.py"), "project")
    found.insist()
    assert not (project / "it-was-run").exists()


def test_a_project_reaches_up_to_the_folder_that_is_marked(project, monkeypatch):
    (project / "pyproject.toml").touch()
    (project / "shop" / "below").mkdir()
    monkeypatch.chdir(project / "shop" / "below")
    assert whereabouts_of("shop.orders").kind == "project"


@pytest.mark.parametrize("module", ["sqlalchemy", "asyncpg.pool", "lab.testing"])
def test_an_installed_package_may_be_named(module):
    found = whereabouts_of(module)
    found.insist()
    assert found.kind == "installed" or module.startswith("lab.")


@pytest.mark.parametrize("module", ["antigravity", "this", "os", "sys", "wsgiref.simple_server", "_frozen_importlib"])
def test_the_standard_library_may_not_be_named(module):
    """Some of its modules do things when they are imported."""
    with pytest.raises(UsageError, match="nor an installed package: it is not imported"):
        whereabouts_of(module).insist()


def test_what_merely_lies_on_the_search_path_may_not_be_named(project, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "stranger.py").write_text(RUNS)
    monkeypatch.syspath_prepend(str(elsewhere))
    with pytest.raises(UsageError, match=r"the token names the module stranger, and .*stranger\.py is neither"):
        whereabouts_of("stranger").insist()


@pytest.mark.parametrize("module", ["nowhere", "shop.nowhere", "shop.orders.below", "json.nowhere"])
def test_a_missing_module_is_left_to_the_importer_to_report(project, module):
    found = whereabouts_of(module)
    found.insist()
    assert (found.file, found.kind) == ("", "")


def token(target: str) -> str:
    return encode(ReplayToken(target, {"amount": 3}, "", Schedule((Go("a"), Go("b")))))


def test_a_dry_run_decodes_and_imports_nothing(project):
    done = lab("replay", "--dry-run", token("shop.orders:Order"), cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "scenario    shop.orders:Order\nparameter   amount = 3\n" in done.stdout
    assert f"imports     {project}/shop/orders.py, of this project" in done.stdout
    held = json.loads(lab("replay", "--dry-run", "--json", token("shop.orders:Order"), cwd=project).stdout)
    assert held["parameters"] == {"amount": 3}
    assert held["imports"] == {
        "module": "shop.orders",
        "file": str(project / "shop" / "orders.py"),
        "kind": "project",
    }
    assert not (project / "it-was-run").exists()


def test_a_replay_says_what_it_imports_and_refuses_what_is_not_of_the_project(project, tmp_path_factory):
    done = lab("replay", token("shop.orders:Order"), cwd=project)
    assert f"lab: imports shop.orders from {project}/shop/orders.py" in done.stderr
    assert (project / "it-was-run").exists()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "stranger.py").write_text(RUNS)
    (project / "it-was-run").unlink()
    path = environment(PYTHONPATH=str(elsewhere))
    for module in ("stranger", "antigravity"):
        done = lab("replay", token(f"{module}:Order"), cwd=project, env=path)
        assert done.returncode == 2
        assert f"lab: the token names the module {module}, and " in done.stderr
    assert not (project / "it-was-run").exists()


def test_nothing_is_imported_to_find_a_module():
    script = (
        "import sys\nfrom lab.scenario.whereabouts import whereabouts_of\n"
        "whereabouts_of('networkx.algorithms.dag')\nprint('networkx' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
