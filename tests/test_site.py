"""The rendered pages, read as files: nothing from another host, no dead link, nothing that no reader could use."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from execute import chapters

REMOTE = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\ssrc=["'](?:https?:)?//"""
    r"""|<link\b[^>]*\shref=["'](?:https?:)?//|@import\s+["'(]*(?:https?:)?//|url\(\s*["']?(?:https?:)?//""",
    re.IGNORECASE,
)
HEAVIEST_PAGE = 4_000_000  # bytes, sliders included: some seconds on a slow line


class Page(HTMLParser):
    """Links, targets and images of one page, and the headings of its article."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.targets, self.alts, self.headings, self.language = [], set(), [], [], None
        self.in_article = False
        self.feed(text)

    def handle_endtag(self, tag):
        self.in_article &= tag != "article"

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.targets |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag == "img":
            self.alts.append(found.get("alt"))
        elif tag == "html":
            self.language = found.get("lang")
        elif tag == "article":
            self.in_article = True
        elif self.in_article and tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(int(tag[1]))


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf8")) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


@pytest.fixture(scope="module")
def chapter_pages(site, root, pages) -> dict[Path, Page]:
    names = chapters(yaml.safe_load((root / "_toc.yml").read_text("utf8")))
    return {path: pages[path] for path in (site / f"{name}.html" for name in names)}


def dead_links(pages: dict[Path, Page]) -> list[str]:
    """Links between pages, and to places in them, that lead nowhere."""
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            lost = parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].targets
            if not target.is_file() or lost:
                dead.append(f"{path.name}: {link}")
    return dead


def test_no_page_loads_anything_from_another_host(site):
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css"}]
    found = {path.name: hit[0] for path in files if (hit := REMOTE.search(path.read_text("utf8", "ignore")))}
    assert files and not found


@pytest.mark.parametrize(
    "planted",
    [
        '<script async src="https://cdn.example/mathjax.js"></script>',
        "<link rel='stylesheet' href='//fonts.example/a.css'>",
        '<style>@import "https://a.example/b.css"; </style>',
        "<style>p { background: url(http://a.example/b.png) }</style>",
    ],
)
def test_a_remote_script_or_style_would_be_found(planted):
    assert REMOTE.search(f"<html>{planted}</html>")
    assert not REMOTE.search('<a href="https://a.example">read</a> <script src="../_static/a.js"></script>')


def test_links_lead_somewhere(pages):
    assert not dead_links({path.resolve(): page for path, page in pages.items()})


def test_a_dead_link_would_be_found(tmp_path):
    one, two = tmp_path.resolve() / "one.html", tmp_path.resolve() / "two.html"
    one.write_text("<a href='two.html#here'>1</a> <a href='two.html#gone'>2</a> <a href='three.html'>3</a>")
    two.write_text("<p id='here'>")
    found = dead_links({path: Page(path.read_text()) for path in (one, two)})
    assert found == ["one.html: two.html#gone", "one.html: three.html"]


def test_no_page_waits_for_a_kernel(chapter_pages):
    for path in chapter_pages:
        text = path.read_text("utf8")
        assert "application/vnd.jupyter.widget" not in text, f"{path.name} has a widget that needs a kernel"
        assert "papermill-error-cell" not in text


def test_pages_are_light(chapter_pages):
    assert not {path.name: path.stat().st_size for path in chapter_pages if path.stat().st_size > HEAVIEST_PAGE}


def test_pages_can_be_read_aloud(chapter_pages):
    for path, page in chapter_pages.items():
        assert page.language == "en"
        assert all(page.alts), f"{path.name} has a picture without words"
        assert page.headings.count(1) == 1, f"{path.name} should have one title"
        jumps = [(a, b) for a, b in zip(page.headings, page.headings[1:], strict=False) if b > a + 1]
        assert not jumps, f"{path.name} skips a level of headings"


def test_the_source_that_a_page_offers_is_the_clean_one(chapter_pages, site, root):
    for path in chapter_pages:
        name = path.relative_to(site).with_suffix(".ipynb")
        offered = json.loads((site / "_sources" / name).read_text("utf8"))
        assert offered == json.loads((root / name).read_text("utf8"))
