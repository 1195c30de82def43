"""The site is built from mkdocs.yml without a warning, and its navigation has every page."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from helpers.pages import DOCS, ROOT, pages


class _Loader(yaml.SafeLoader):
    """Takes the name of a function for a text."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)


def test_the_site_builds_strictly(tmp_path):
    """Dead links and anchors, and names that the reference does not find, are errors."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")
    done = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "site/index.html").exists()


def test_every_page_is_in_the_navigation_once():
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader=_Loader)
    found = list(_pages(settings["nav"]))
    assert len(found) == len(set(found))
    assert set(found) == {str(path.relative_to(DOCS)) for path in pages() if path.is_relative_to(DOCS)}


def _pages(item):
    if isinstance(item, str):
        yield item
    for each in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
        yield from _pages(each)
