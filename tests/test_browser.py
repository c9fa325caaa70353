"""The rendered book as a reader without a network sees it: headless Chromium, a plain server, no other host."""

import functools
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from execute import chapters

from helpers.commands.report import page

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
GUIDES = {"index", "leaderboard", "own_method", "report", "real_data", "api"}  # pages that ask no question of their own
PHONE = {"width": 390, "height": 844}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextmanager
def served(folder: Path):
    """The address of a plain server of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no browser: install chromium to have the rendered book tested in one")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@contextmanager
def reader(browser, address: str, **options):
    """A tab, and the list of what went wrong in it: requests to other hosts, failed requests, console errors."""
    context, wrong = browser.new_context(**options), []

    def gate(route):
        url = route.request.url
        if url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            wrong.append(f"asked another host: {url}")
            route.abort()

    context.route("**/*", gate)
    tab = context.new_page()
    tab.on("console", lambda message: message.type == "error" and wrong.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    tab.on("response", lambda answer: answer.status >= 400 and wrong.append(f"{answer.status}: {answer.url}"))
    yield tab, wrong
    context.close()


@pytest.fixture(scope="module")
def address(site):
    with served(site) as found:
        yield found


@pytest.fixture
def tab(browser, address):
    """A tab in which nothing may go wrong."""
    with reader(browser, address) as (page, wrong):
        yield page
        assert not wrong


@pytest.fixture(scope="module")
def paths(root) -> list[str]:
    return [f"/{name}.html" for name in chapters(yaml.safe_load((root / "_toc.yml").read_text("utf8")))]


def test_every_page_loads_without_an_error(browser, address, site):
    found = {}
    for path in [*sorted(site.glob("*.html")), *sorted(site.glob("book/*.html"))]:
        with reader(browser, address) as (page, wrong):
            page.goto(f"{address}/{path.relative_to(site)}", wait_until="networkidle")
            if wrong:
                found[path.name] = list(wrong)
    assert not found


def test_what_goes_wrong_is_seen(browser, tmp_path):
    scripts = '<script src="https://cdn.example/a.js"></script><script>console.error("no coil"); lost()</script>'
    (tmp_path / "index.html").write_text(f"<html>{scripts}<img src='gone.png'></html>")
    with served(tmp_path) as address, reader(browser, address) as (page, wrong):
        page.goto(f"{address}/index.html", wait_until="networkidle")
    said = "\n".join(wrong)
    assert "asked another host: https://cdn.example/a.js" in said
    assert "console: no coil" in said and "lost is not defined" in said and "404" in said


def move(figure) -> tuple[list, list]:
    """Source, words and announced value of a slider before and after one press of an arrow key."""
    slider, picture = figure.locator("input[type=range]"), figure.locator("img")

    def state():
        return [picture.get_attribute("src"), figure.locator("output").inner_text(), picture.get_attribute("alt")] + [
            slider.get_attribute("aria-valuetext")
        ]

    before = state()
    at_end = slider.input_value() == slider.get_attribute("max")
    slider.focus()
    slider.press("ArrowLeft" if at_end else "ArrowRight")
    return before, state()


def test_the_keyboard_moves_every_slider(tab, address, paths):
    for path in paths:
        tab.goto(address + path)
        figures = tab.locator("figure.explorer").all()
        assert figures or Path(path).stem in GUIDES, f"{path} has no slider"
        for figure in figures:
            before, after = move(figure)
            assert all(a != b for a, b in zip(before, after, strict=True)), f"{path}: {before[1:]} {after[1:]}"
            size = figure.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
            assert size > 0


def test_a_place_is_picked_with_the_mouse_and_with_the_keyboard(tab, address):
    tab.goto(address + "/book/features.html")
    figure = tab.locator("figure.picker")
    shown, told = figure.locator("img.shown"), figure.locator("output")
    places = figure.get_by_role("radio")
    assert places.count() == 36

    def state():
        return [shown.get_attribute("src"), told.inner_text(), shown.get_attribute("alt")]

    states = [state()]
    places.nth(0).click()
    states.append(state())
    places.nth(0).press("ArrowRight")
    states.append(state())
    assert all(len(set(each)) == 3 for each in zip(*states)), states
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_a_page_opened_as_a_file_works_too(browser, site, paths):
    with reader(browser, "file://") as (page, wrong):
        for path in paths:
            page.goto((site / path[1:]).as_uri())
            for figure in page.locator("figure.explorer").all():
                before, after = move(figure)
                assert before[0] != after[0]
    assert not wrong


def test_sliders_have_names_and_pictures_have_words(tab, address, paths):
    for path in paths:
        tab.goto(address + path)
        for name in ("slider", "img", "button", "link"):
            nameless = tab.get_by_role(name, name="", exact=True).all()
            named = [node for node in nameless if not node.evaluate(ACCESSIBLE_NAME)]
            assert not named, f"{path}: {name} without a name: {named[0].evaluate('node => node.outerHTML')}"


ACCESSIBLE_NAME = """node => node.getAttribute("aria-label") || node.getAttribute("aria-labelledby") || node.alt
  || node.title || node.textContent.trim() || node.querySelector("img[alt], svg[aria-label]")"""


def test_equations_are_drawn(tab, address, paths):
    drawn = 0
    for path in paths:
        tab.goto(address + path, wait_until="load")
        for node in tab.locator("article .math").all():
            drawn += 1
            box = node.locator("math").first.bounding_box()
            assert box and box["width"] > 2 and box["height"] > 2, f"{path}: {node.inner_text()}"
        assert tab.locator(".katex-error, merror").count() == 0, path
        visible = tab.locator("article").evaluate(
            """article => { const copy = article.cloneNode(true);
               copy.querySelectorAll("annotation, pre, code, script").forEach(node => node.remove());
               return copy.textContent; }"""
        )
        assert not [sign for sign in ("\\(", "\\[", "\\frac", "\\lambda", "$$") if sign in visible], path
        assert tab.locator("math [mathvariant=script], math [mathvariant=double-struck]").count() == 0, path
        for number in tab.locator("div.math .eqno").all():
            inside = number.evaluate(
                """number => { const [a, b] = [number, number.parentElement].map(n => n.getBoundingClientRect());
                   return a.top >= b.top - 1 && a.bottom <= b.bottom + 1 && a.right <= b.right + 1; }"""
            )
            assert inside, f"{path}: the number of an equation is cut off"
    assert drawn


@pytest.mark.parametrize("word", ["reconstruction", "wavelet"])
def test_search_finds_a_word(tab, address, word):
    tab.goto(f"{address}/search.html?q={word}", wait_until="networkidle")
    tab.wait_for_selector("#search-results li a")
    tab.locator("#search-results li a").first.click()
    assert "/book/" in tab.url
    assert word in tab.locator("article").inner_text().lower()


def test_search_opens_from_the_keyboard(tab, address, paths):
    tab.goto(address + paths[-1])
    tab.keyboard.press("Control+k")
    tab.keyboard.type("knee")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=knee*")
    tab.wait_for_selector("#search-results li a")


def test_a_phone_can_read_every_page(browser, address, paths):
    with reader(browser, address, viewport=PHONE) as (page, wrong):
        for path in paths:
            page.goto(address + path, wait_until="load")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE["width"] + 1, f"{path} is {width} pixels wide on a phone"
            begin = page.evaluate("[...document.querySelectorAll('math')].map(e => e.getBoundingClientRect().left)")
            assert all(left >= 0 for left in begin), f"an equation of {path} begins beyond the edge"
            for slider in page.locator("figure.explorer input").all():
                box = slider.bounding_box()
                assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    assert not wrong


def test_dark_mode_keeps_figures_as_they_are(browser, address, paths):
    """White ground, and the gray values of an image in the same proportions."""
    with reader(browser, address, color_scheme="dark") as (page, wrong):
        for path in paths:
            page.goto(address + path, wait_until="load")
            assert page.evaluate("document.documentElement.dataset.theme") == "dark"
            for image in page.locator(".cell_output img").all():
                style = image.evaluate(
                    "image => [getComputedStyle(image).backgroundColor, getComputedStyle(image).filter]"
                )
                assert style[0] == "rgb(255, 255, 255)" and "contrast" not in style[1]
    assert not wrong


def test_the_leaderboard_sorts_itself(tab, address):
    """By a click and from the keyboard: the best first, what was not measured last, and turned when it is repeated."""
    tab.goto(f"{address}/book/leaderboard.html")
    heads = tab.locator("table.board thead th")
    place = heads.all_inner_texts().index(next(text for text in heads.all_inner_texts() if "worst change" in text))
    column = f"table.board tbody tr > :nth-child({place + 1})"

    def values() -> list[str]:
        return [cell.get_attribute("data-value") for cell in tab.locator(column).all()]

    before = values()
    known = sorted(float(value) for value in before if value)
    assert 4 <= len(known) < len(before)
    for act, order in (
        (lambda button: button.click(), known),
        (lambda button: (button.focus(), tab.keyboard.press("Enter")), known[::-1]),
    ):
        act(heads.nth(place).locator("button"))
        found = values()
        assert [float(value) for value in found[: len(known)]] == order and set(found[len(known) :]) == {""}
    assert heads.nth(place).get_attribute("aria-sort") == "descending"
    assert tab.locator("table.board thead [aria-sort]").count() == 1


def test_a_report_opens_without_a_network(browser, root, tmp_path):
    """The page of a report, made of the tables that come with the book, on a desk and on a phone."""
    folder = tmp_path / "report"
    shutil.copytree(root / "results" / "report", folder)
    page(folder)
    with served(folder) as address, reader(browser, address, viewport=PHONE) as (tab, wrong):
        tab.goto(f"{address}/report.html")
        assert tab.locator("img").count() >= 7 and tab.locator("table").count() >= 6
        assert all(tab.locator("img").evaluate_all("all => all.map(each => each.naturalWidth > 0)"))
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"] and not wrong
