"""Links of README.md, CONTRIBUTING.md, CHANGELOG.md and docs/: each leads to a file and a heading that are there."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from helpers.pages import ROOT, anchors_of, links_of, name_of, pages

PAGES = [*pages(), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "bench/README.md"]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path):
    """Within the repository to a file, with an anchor to a heading of it. Others have a scheme and a host."""
    assert not [link for link in links_of(path) if not _leads(path, link)]


def _leads(path, link):
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return parts.scheme in ("https", "mailto") and (parts.netloc or parts.path) and " " not in link
    target = (path.parent / parts.path) if parts.path else path
    if not target.exists():
        return False
    return not parts.fragment or parts.fragment in anchors_of(target)


def test_every_page_can_be_reached_by_links_from_the_readme_or_the_index():
    """The navigation of the site is not seen by who reads the repository."""
    seen, left = set(), [ROOT / "README.md", ROOT / "docs/index.md"]
    while left:
        page = left.pop().resolve()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        inner = (urlsplit(link) for link in links_of(page))
        left += [page.parent / each.path for each in inner if each.path and not each.scheme]
    assert not [name_of(path) for path in pages() if path.resolve() not in seen]
