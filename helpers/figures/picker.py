"""A grid of places on an image to pick from, two lives: computed beside a live kernel, or all pictures in one page."""

import base64
import hashlib
import html
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from helpers.figures.sliders import STATIC, data_url, png, raster, script

CELL = (
    '<label style="left:{left:.2f}%;top:{top:.2f}%;width:{width:.2f}%;height:{height:.2f}%" title="{words}">'
    '<input type="radio" name="{group}" value="{number}" aria-label="{words}"{checked}><span></span></label>'
)
PAGE = """<figure class="picker" role="radiogroup" aria-label="{label}">
<figcaption>{label}: <output>{value}</output></figcaption>
<div class="choice"><img src="{overview}" alt="{label}">{cells}</div>
<img class="shown" src="{source}" alt="{alt}">
<script>(() => {{
  const figure = document.currentScript.parentElement, output = figure.querySelector("output"),
    image = figure.querySelector("img.shown"), sources = {sources}, words = {words}, alts = {alts};
  figure.addEventListener("change", (event) => {{
    const k = +event.target.value;
    image.src = sources[k]; image.alt = alts[k]; output.textContent = words[k];
  }});
}})();</script>
</figure>"""


def picker(
    compute: Callable,
    places: Sequence[tuple[int, int]],
    overview,
    shape: tuple[int, int],
    label: str,
    alt: str = "picture",
    start: int = 0,
    cell: int = 12,
):
    """Let a reader pick a place on an image, by mouse or arrow keys, and see what is there.

    With a live kernel: buttons, a picture being computed the first time that its place is picked. In a rendered page
    (BOOK_STATIC=1): all pictures are computed now and put into one HTML figure of radio buttons that lie on the image,
    which needs no kernel, no library and no network, with a PNG of the first for formats without JavaScript.

    compute   place -> matplotlib Figure or image in [0, 1]
    places    rows and columns of the middles of the places, in pixels of the image
    overview  the image that is picked from, (y, x) in [0, 1] or a Figure without margins
    shape     rows and columns of that image, in the pixels that places count
    label     what is picked; alt: what the pictures show
    start     index of the first view; cell: side of a button, in pixels of the image
    """
    words = [f"row {row}, column {column}" for row, column in places]
    if os.environ.get(STATIC) != "1":
        return _live(compute, places, words, label, start)
    pictures = [raster(compute(place)) for place in places]
    return Choices(pictures, raster(overview), tuple(places), words, shape, label, alt, start, cell)


@dataclass(frozen=True)
class Choices:
    """A picker for a page without a kernel: every picture beside the words for its place."""

    pictures: list[Image.Image]
    overview: Image.Image
    places: tuple[tuple[int, int], ...]
    words: list[str]
    shape: tuple[int, int]
    label: str
    alt: str
    start: int
    cell: int

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        sources = [data_url(picture) for picture in self.pictures]
        alts = [f"{self.alt}, {word}" for word in self.words]
        group = "picker-" + hashlib.sha256("".join(sources).encode()).hexdigest()[:12]
        height, width = self.shape
        cells = "".join(
            CELL.format(
                left=100 * (column - self.cell / 2) / width,
                top=100 * (row - self.cell / 2) / height,
                width=100 * self.cell / width,
                height=100 * self.cell / height,
                words=html.escape(self.words[number]),
                group=group,
                number=number,
                checked=" checked" if number == self.start else "",
            )
            for number, (row, column) in enumerate(self.places)
        )
        page = PAGE.format(
            label=html.escape(self.label),
            value=html.escape(self.words[self.start]),
            overview=data_url(self.overview),
            cells=cells,
            source=sources[self.start],
            alt=html.escape(alts[self.start]),
            sources=script(sources),
            words=script(self.words),
            alts=script(alts),
        )
        return {
            "text/html": page,
            "image/png": base64.b64encode(png(self.pictures[self.start])).decode(),
            "text/plain": f"<{len(sources)} places to pick from, {sum(map(len, sources)) / 1000:.0f} kB>",
        }


def _live(compute, places, words, label, start):
    """The buttons of a live kernel, in the rows and columns of the grid that the places form."""
    import ipywidgets  # imported here: a rendered page needs none of it

    seen, image = {}, ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))
    told = ipywidgets.Label()

    def show(number):
        if number not in seen:
            seen[number] = png(raster(compute(places[number])))
        image.value, told.value = seen[number], f"{label}: {words[number]}"

    buttons = [ipywidgets.Button(tooltip=word, layout=ipywidgets.Layout(width="1.8rem")) for word in words]
    for number, button in enumerate(buttons):
        button.on_click(lambda _, number=number: show(number))
    columns = len({column for _, column in places})
    template = ipywidgets.Layout(grid_template_columns=f"repeat({columns}, 2rem)")
    show(start)
    return ipywidgets.VBox([told, ipywidgets.GridBox(buttons, layout=template), image])
