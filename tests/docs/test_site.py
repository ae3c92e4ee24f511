"""The built pages, where there are some: no link leads nowhere, pictures have texts, a search finds lessons first."""

import os
import re
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import dump

SITE = Path(__file__).parents[2] / "docs" / "_build"

pytestmark = pytest.mark.skipif(not (SITE / "searchindex.js").exists(), reason="needs the built documentation")


@cache
def read(path):
    """Return the addresses, the anchors and the pictures of a page."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"<(script|style)\b(?![^>]*\bsrc=)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    tags = "\n".join(re.findall(r"<[a-z][^>]*>", text))
    addresses = {unescape(found) for found in re.findall(r'\s(?:href|src)="([^"]*)"', tags)}
    pictures = [dict(re.findall(r'\s(src|alt)="([^"]*)"', tag)) for tag in re.findall("<img .*", tags)]
    return addresses, set(re.findall(r'\s(?:id|name)="([^"]*)"', tags)), pictures


def dead_links(path, files):
    """Return the addresses of a page whose file or anchor does not exist."""
    dead = []
    for address in read(path)[0]:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = os.path.normpath(path.parent / unquote(parts.path)) if parts.path else str(path)
        known = target in files
        if known and parts.fragment and target.endswith(".html"):
            known = unquote(parts.fragment) in read(Path(target))[1]
        if not known:
            dead.append(address)
    return dead


def test_every_link_and_picture_of_the_pages_exists():
    files = {str(path) for path in SITE.rglob("*")}
    pages = sorted(SITE.rglob("*.html"))
    assert len(pages) > 50
    assert {str(page.relative_to(SITE)): dead for page in pages if (dead := dead_links(page, files))} == {}
    assert sum(len(read(page)[0]) for page in pages) > 10_000  # the search does find links


def test_a_dead_link_is_found(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<a href="other.html">x</a><a href="#here">x</a><h1 id="there">x</h1><img src="no.png" alt="">')
    assert set(dead_links(page, {str(page)})) == {"other.html", "#here", "no.png"}


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
        shown = [picture for picture in read(page)[2] if "sphx_glr" in picture["src"]]
        assert shown
        assert all(len(picture["alt"]) >= 60 for picture in shown)
        assert not re.search(r"(Posix|Windows)Path\(", page.read_text(encoding="utf-8"))


def test_the_front_page_has_a_network_that_runs(tmp_path):
    assert 'src="live.html"' in (SITE / "index.html").read_text(encoding="utf-8")
    text = dump(SITE / "live.html", tmp_path)
    assert 'data-ready="yes"' in text
    assert float(re.search(r'data-difference="([^"]*)"', text)[1]) < 1e-4


@pytest.mark.parametrize("word", ["unpooling", "stride", "batch norm"])
def test_a_search_lists_lessons_before_modules(word, tmp_path):
    text = dump(SITE / "search.html", tmp_path, f"?q={word.replace(' ', '+')}")
    results = re.search(r'<ul [^>]*class="search"[^>]*>(.*)</ul>', text, re.DOTALL)[1]
    found = re.findall(r'<a href="([^"#?]+)[^"]*"[^>]*>', results)
    assert re.match(r"lessons/\d\d_", found[0]), found[:5]
    modules = [i for i, address in enumerate(found) if address.startswith("reference/")]
    assert not modules or min(modules) > max(i for i, address in enumerate(found) if re.match(r"lessons/\d", address))
