"""The built pages, where there are some: no link leads nowhere, pictures have texts, a search finds lessons first."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import dump

SITE = Path(__file__).parents[2] / "docs" / "_build"

pytestmark = pytest.mark.skipif(not (SITE / "searchindex.js").exists(), reason="needs the built documentation")


class Reader(HTMLParser):
    """Collect the addresses, the anchors and the pictures of a page."""

    def __init__(self):
        super().__init__()
        self.addresses, self.anchors, self.pictures = [], set(), []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors.update(found[name] for name in ("id", "name") if found.get(name))
        self.addresses += [found[name] for name in ("href", "src") if found.get(name)]
        if tag == "img":
            self.pictures.append(found)


@cache
def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def dead_links(path):
    """Return the addresses of a page whose file or anchor does not exist."""
    dead = []
    for address in read(path).addresses:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        known = target.is_file()
        if known and parts.fragment and target.suffix == ".html":
            known = unquote(parts.fragment) in read(target).anchors
        if not known:
            dead.append(address)
    return dead


def test_every_link_and_picture_of_the_pages_exists():
    pages = sorted(SITE.rglob("*.html"))
    assert len(pages) > 50
    dead = {str(page.relative_to(SITE)): found for page in pages if (found := dead_links(page))}
    assert dead == {}
    assert sum(len(read(page).addresses) for page in pages) > 1000  # the search does find links


def lessons():
    return sorted((SITE / "lessons").glob("[0-9]*.html"))


def test_a_lesson_links_to_its_solutions_its_neighbours_and_its_files():
    pages = lessons()
    for before, page, after in zip([None, *pages], pages, [*pages[1:], None], strict=False):
        text = page.read_text(encoding="utf-8")
        assert f'href="solutions/{page.name}"' in text
        for neighbour, name in ((before, "prev-page"), (after, "next-page")):
            assert neighbour is None or f'<a class="{name}" href="{neighbour.name}">' in text
        assert re.search(rf'href="[^"]*{page.stem}\.ipynb"', text)


def test_the_pictures_of_the_lessons_have_alternative_texts():
    for page in lessons():
        pictures = [picture for picture in read(page).pictures if "lessons/" in page.as_posix()]
        shown = [picture for picture in pictures if "sphx_glr" in picture["src"] and "thumb" not in picture["src"]]
        assert shown
        if int(page.name[:2]) not in range(16, 21):
            assert all(len(picture["alt"]) >= 60 for picture in shown)
        assert "Path(" not in re.sub(r'<div class="highlight.*?</pre>', "", page.read_text("utf-8"), flags=re.DOTALL)


def test_the_front_page_has_a_network_that_runs(tmp_path):
    assert 'src="live.html"' in (SITE / "index.html").read_text(encoding="utf-8")
    text = dump(SITE / "live.html", tmp_path)
    assert 'data-ready="yes"' in text
    assert float(re.search(r'data-difference="([^"]*)"', text)[1]) < 1e-4


@pytest.mark.parametrize("word", ["unpooling", "stride", "batch norm"])
def test_a_search_lists_lessons_before_modules(word, tmp_path):
    text = dump(SITE / "search.html", tmp_path, f"?q={word.replace(' ', '+')}")
    results = re.search(r'<ul class="search"[^>]*>(.*)</ul>', text, re.DOTALL)[1]
    found = re.findall(r'<a href="([^"#?]+)[^"]*"[^>]*>', results)
    assert re.match(r"lessons/\d\d_", found[0]), found[:5]
    modules = [i for i, address in enumerate(found) if address.startswith("reference/")]
    assert not modules or min(modules) > max(i for i, address in enumerate(found) if re.match(r"lessons/\d", address))
