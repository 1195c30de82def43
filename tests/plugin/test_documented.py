"""The examples of the guide's part on tests, run as they stand there, as one project."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs/guide.md"
FILES = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HUNTED = """
from test_pinned import LastOne

async def test_it(lab):
    try:
        await lab.hunt(LastOne())
    except lab.Violation as error:
        print("TOKEN", error.token)
"""


def test_the_examples_of_the_guide_run(project):
    """Race, pinned token and test case: in one run all pass but the one that is expected to fail."""
    files = dict(FILES.findall(GUIDE.read_text()))
    assert {"shop.py", "test_shop.py", "test_pinned.py", "test_case.py"} <= set(files)
    for name, text in files.items():
        (project.path / name).write_text(text)
    project.makepyfile(test_hunted=HUNTED)
    found = project.runpytest_subprocess("test_hunted.py", "-s", "-p", "no:cacheprovider").stdout.str()
    token = re.search(r"TOKEN (lab1:\S+)", found)[1]
    pinned = files["test_pinned.py"].replace("TOKEN_OF_LAST_ONE", token)
    (project.path / "test_pinned.py").write_text(pinned)
    result = project.runpytest_subprocess(*(each for each in files if each.startswith("test_")))
    result.assert_outcomes(passed=2, xfailed=1)
    assert "1 token replayed, broken" in result.stdout.str()
