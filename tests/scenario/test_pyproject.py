"""`[tool.lab]`: what a project says of itself, and what goes before it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from helpers.lab_program import CASES, environment, lab, lab_each, lab_started

from lab.errors import UsageError
from lab.scenario.project import packages_of_project
from lab.scenario.pyproject import find_modules, settings
from lab.scenario.sources import declared, project_files


def table(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(f"[tool.lab]\n{text}\n")
    return folder


WRONG = {
    "executons = 5": "has a key 'executons'; did you mean 'executions'? known are scenarios, url, postgres",
    'executions = "many"': "executions = 'many'; it is a whole number, 1 or more",
    "executions = 0": "executions = 0; it is a whole number",
    "executions = true": "executions = True; it is a whole number",
    'scenarios = "shop"': "scenarios = 'shop'; it is a list of packages",
    "postgres = '18'": "postgres = '18'; it is the major version",
    "databases = ['shop']": "databases = ['shop']; it is a table of names",
    "workers = 'many'": "workers = 'many'; it is a whole number, 1 or more, or \"auto\"",
    "workers = 0": "workers = 0; it is a whole number",
    "url = ''": "url = ''; it is the URL of a server",
    "tuned.races = 'pct'": "tuned = {'races': 'pct'}; it is a table of targets and packages",
    "tuned.races = {options = {depth = 2}}": "it is a table of targets and packages",
    "tuned.races = {scheduler = 'pct', options = {depth = 'two'}}": "it is a table of targets and packages",
    "tuned.races = {scheduler = 'pct', depth = 2}": "it is a table of targets and packages",
    "scenarios = [": "is not valid TOML: ",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_table_is_told_with_file_key_and_value(tmp_path, text):
    with pytest.raises(UsageError) as told:
        settings(table(tmp_path, text))
    assert WRONG[text] in str(told.value)
    assert f"{tmp_path}/pyproject.toml" in str(told.value)
    assert "\n" not in str(told.value)


def test_the_nearest_pyproject_upwards_counts(tmp_path):
    """Alone: a project inside another's folder has nothing of that one's, also where it has no table."""
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    table(tmp_path, "executions = 7\npostgres = 16")
    assert settings(inner).executions == 7
    table(tmp_path / "a", "executions = 8")
    assert (settings(inner).executions, settings(inner).postgres) == (8, None)
    (inner / "pyproject.toml").write_text('[project]\nname = "b"\n')
    assert settings(inner).executions is None


def test_the_command_line_goes_before_the_environment_and_that_before_the_table(tmp_path):
    """A URL of each: the message says which one was used. A wrong value says that it is from the table."""
    table(tmp_path, 'url = "postgresql://127.0.0.1:1/table"')
    for line, env, used in (
        (["doctor"], {}, "table"),
        (["doctor"], {"LAB_URL": "postgresql://127.0.0.1:1/variable"}, "variable"),
        (
            ["doctor", "--url", "postgresql://127.0.0.1:1/line"],
            {"LAB_URL": "postgresql://127.0.0.1:1/variable"},
            "line",
        ),
    ):
        assert f"127.0.0.1:1/{used}" in lab(*line, cwd=tmp_path, env=environment(**env)).stderr
    table(tmp_path, 'scheduler = "best"')
    ((status, out, err), (_, _, other)) = lab_each([["hunt", "X"], ["hunt", "X", "--scheduler", "pos"]], cwd=tmp_path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "pyproject.toml: [tool.lab] has scheduler = 'best'" in err
    assert "best" not in other


def test_executions_and_packages_of_the_table_are_used(tmp_path):
    """`lab list`, a short name and a hunt without TARGET, of a package that is not called scenarios."""
    package = tmp_path / "shop" / "races"
    package.mkdir(parents=True)
    text = (CASES / "scenarios" / "counter.py").read_text()
    (package / "counter.py").write_text(text.replace("scenarios.", "shop.races."))
    table(tmp_path, 'scenarios = ["shop.races"]\nexecutions = 3\nscheduler = "random"')
    listed, hunted = lab_each([["list"], ["hunt", "Counted", "--json"]], cwd=tmp_path)
    assert "shop.races.counter:Counted  right" in listed[1]
    assert json.loads(hunted[1])["executions"] == 3
    assert json.loads(hunted[1])["scheduler"] == "random"


def test_scenarios_are_found_where_nobody_said_where_they_are(tmp_path, monkeypatch):
    """By the source: classes of `lab.Scenario` with actors, also inherited ones. Nothing is imported; no tests."""
    scenario = "import lab\nclass {0}(lab.Scenario):\n    @lab.actor\n    async def a(self): ...\n"
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/races.py").write_text(
        scenario.format("First") + "class _Base(First): ...\nclass Bare(lab.Scenario): ...\n"
    )
    (tmp_path / "shop/more.py").write_text("import lab\nfrom shop.races import First\nclass Second(First): ...\n")
    (tmp_path / "shop/test_races.py").write_text(scenario.format("Third"))
    (tmp_path / "shop/raises.py").write_text("import lab\nraise RuntimeError\n")
    (tmp_path / ".venv/lib").mkdir(parents=True)
    (tmp_path / ".venv" / "lib" / "other.py").write_text(scenario.format("Fourth"))
    monkeypatch.chdir(tmp_path)
    found = declared(project_files(tmp_path))
    assert [(each.module, each.name) for each in found] == [("shop.more", "Second"), ("shop.races", "First")]
    assert packages_of_project() == ["shop.more", "shop.races"]
    assert "shop.races" not in sys.modules


def test_modules_are_found_from_the_project_and_its_src_folder(tmp_path, monkeypatch):
    """Also from a folder inside; the working folder is the first, and nothing is there twice."""
    (tmp_path / "src").mkdir()
    (tmp_path / "deep/er").mkdir(parents=True)
    table(tmp_path, "executions = 1")
    monkeypatch.chdir(tmp_path / "deep/er")
    monkeypatch.setattr(sys, "path", ["/usr/lib"])
    for _ in range(2):
        find_modules()
        assert sys.path == [str(tmp_path / "deep/er"), str(tmp_path), str(tmp_path / "src"), "/usr/lib"]


def test_databases_of_the_table_are_those_of_scenarios_that_state_none(tmp_path):
    """One that says nothing of tables has them; a place that holds no metadata is told."""
    (tmp_path / "tables.py").write_text(
        "import sqlalchemy as sa\nmetadata = sa.MetaData()\n"
        "sa.Table('t', metadata, sa.Column('id', sa.Integer, primary_key=True))\n"
    )
    (tmp_path / "races.py").write_text(
        "import lab, sqlalchemy as sa\nclass Two(lab.Scenario):\n    @lab.actor(names=('ann', 'ben'))\n"
        "    async def add(self, session):\n        await session.execute(sa.text('INSERT INTO t DEFAULT VALUES'))\n"
    )
    table(tmp_path, 'scenarios = ["races"]\ndatabases = {shop = "tables:metadata", other = ""}')
    ((_, out, err),) = lab_each([["hunt", "Two", "--json", "--executions", "2"]], cwd=tmp_path)
    assert "error" not in json.loads(out), err
    table(tmp_path, 'databases = {shop = "tables:sa"}')
    ((status, _, err),) = lab_each([["hunt", "races:Two"]], cwd=tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert "databases of [tool.lab] names 'tables:sa', which is no MetaData" in err


def test_a_shell_completes_commands_and_targets(tmp_path):
    """Short names where they are unique, whole targets after a dot; for `lab demo` the shipped ones."""

    def completed(*words: str) -> list[str]:
        line = {"COMP_WORDS": " ".join(["lab", *words]), "COMP_CWORD": str(len(words))}
        done = lab_started(env=environment(_LAB_COMPLETE="bash_complete", **line))
        assert (done.returncode, done.stderr) == (0, "")
        return [each.partition(",")[2] for each in done.stdout.splitlines()]

    assert completed("hunt", "Lost") == ["LostCount"]
    assert completed("hunt", "scenarios.c") == [
        "scenarios.counter:Counted", "scenarios.counter:LostCount", "scenarios.counter:Refused",
    ]  # fmt: skip
    assert completed("demo", "LostUpdate") == ["LostUpdate", "LostUpdateAnomaly"]
    assert "_lab_completion" in lab_started(env=environment(_LAB_COMPLETE="bash_source")).stdout
