"""A browser for pages: the chromium of the system, driven by playwright. In CI it must be there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="module")
def chromium(folder) -> Iterator[Browser]:
    """After the pages were made: no other event loop may run as long as playwright's does."""
    path = shutil.which("chromium")
    if path is None:
        sentence = "no chromium is installed here (apt-get install chromium), so no page was looked at"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])  # CI is root in a container
        yield browser
        browser.close()
