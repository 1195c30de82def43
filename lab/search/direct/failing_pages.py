"""The page of a violation beside the test that met it: in `.lab/pages/`, under the test's own name.

A test that fails again writes over its page, so the folder has one for each test, and `MOST` at most.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError, defect
from lab.search.kept.folder import FOLDER, keeps_of_tests

if TYPE_CHECKING:
    import pytest

    from lab.errors import Violation

__all__ = ["PAGES", "add_page", "add_page_options", "pages_wanted", "write_page"]

PAGES = "pages"
MOST = 200
"""Pages that are kept; the oldest ones go first."""
OPTION = INI = "lab_pages"


def add_page_options(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    """`--lab-pages`, `--no-lab-pages`, and `lab_pages` of the ini file."""
    group.addoption(
        "--lab-pages",
        action="store_true",
        dest=OPTION,
        default=None,
        help=f"Write a page of each test that the lab fails, in {FOLDER}/{PAGES}/ (default: ini lab_pages, else yes, "
        "but in CI no).",
    )
    group.addoption("--no-lab-pages", action="store_false", dest=OPTION, default=None, help="Write no pages.")
    parser.addini(INI, "Whether the lab writes a page beside each test that it fails.", type="bool", default=True)


def add_page(item: pytest.Item, error: BaseException, report: pytest.TestReport) -> None:
    """Write the page of a test that failed, and let its report say where."""
    from lab.search.direct.at_the_end import violation_in  # noqa: PLC0415 - only where a test failed

    violation = violation_in(error)
    if violation is not None and (said := write_page(item, violation)):
        report.sections.append(("lab", said))


def pages_wanted(config: pytest.Config) -> bool:
    """Whether failing tests get a page: what the command line says, else the ini file; where nothing is kept, none."""
    stated: bool | None = config.getoption(OPTION)
    return bool(config.getini(INI)) and keeps_of_tests(config.rootpath) if stated is None else stated


def write_page(item: pytest.Item, violation: Violation) -> str:
    """Write the page of a violation; a sentence with its path, or with what stood in the way. "" without a page."""
    if not violation.page:
        return ""
    from lab.report.html.contents import FailurePage  # noqa: PLC0415 - only where a test failed
    from lab.report.html.files import file_name, written  # noqa: PLC0415 - the same
    from lab.report.html.render import failure_html  # noqa: PLC0415 - the same
    from lab.search.kept.file import ignored_by_git  # noqa: PLC0415 - the same

    folder = item.config.rootpath / FOLDER / PAGES
    path = folder / f"{file_name(item.nodeid)}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignored_by_git(folder.parent)
        written(path, failure_html(FailurePage.load(violation.page)))
        _forget_the_oldest(folder)
    except (OSError, LabError) as error:
        return f"no page was written: {error}"
    except Exception as error:  # noqa: BLE001 - a defect of a page takes no report away
        return defect("draw the page of this failure", error)
    return f"page: {os.path.relpath(path, item.config.invocation_params.dir)}"


def _forget_the_oldest(folder: Path) -> None:
    found = sorted(folder.glob("*.html"), key=lambda each: each.stat().st_mtime)
    for each in found[:-MOST]:
        each.unlink(missing_ok=True)
