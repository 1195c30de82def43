"""Virtual environments with packages that would be in the way of these tests, such as other plugins of pytest.

An environment is a layer above the one that runs these tests: only what is not there is installed into it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
LAYER = "import site; site.addsitedir({!r})\n"


class Environment:
    """A virtual environment with some packages above those that are here."""

    def __init__(self, folder: Path, *packages: str) -> None:
        venv.create(folder, with_pip=False)
        self.python = folder / "bin/python"
        site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
        (site / "layer.pth").write_text(LAYER.format(sysconfig.get_path("purelib")))
        if packages:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*pip, "--constraint", CONSTRAINTS, "--target", site, *packages], check=True)

    def run(self, *arguments: str, cwd: Path) -> tuple[int, str]:
        env = os.environ | {"PYTHONWARNINGS": "", "PYTHONPATH": ""}
        together = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run([self.python, *arguments], cwd=cwd, env=env, check=False, **together)
        return done.returncode, done.stdout

    def passes(self, number: int, *options: str, cwd: Path) -> str:
        """pytest in a folder: so many tests pass, and nothing else is said to have gone wrong."""
        status, text = self.run("-m", "pytest", "-p", "no:cacheprovider", *options, cwd=cwd)
        assert status == 0, text
        assert f" {number} passed in" in f" {text.rpartition('=== ')[2]}", text
        return text
