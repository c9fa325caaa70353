"""One slider, two lives: recomputing beside a live kernel, and still moving in a rendered page that has none."""

import base64
import html
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

STATIC = "BOOK_STATIC"  # set to 1 by scripts/execute.py while a book is being rendered

PAGE = """<figure class="explorer">
<label><span>{label}</span>: <output>{value}</output>
<input type="range" min="0" max="{last}" step="1" value="{start}" aria-label="{label}" aria-valuetext="{value}"></label>
<img src="{source}" alt="{alt}" style="width:{width}">
<script>(() => {{
  const figure = document.currentScript.parentElement, [input, output, image] = ["input", "output", "img"].map(
    (name) => figure.querySelector(name)), sources = {sources}, values = {values}, alts = {alts};
  input.addEventListener("input", () => {{
    const k = +input.value;
    image.src = sources[k]; image.alt = alts[k]; output.textContent = values[k];
    input.setAttribute("aria-valuetext", values[k]);
  }});
}})();</script>
</figure>"""


def explorer(
    compute: Callable,
    values: Sequence,
    label: str,
    alt: str = "picture",
    start: int = 0,
    frames: int = 9,
    width: str = "auto",
    text: Callable[[object], str] | None = None,
):
    """Let a reader move a parameter and see what it does.

    With a live kernel: an ipywidgets slider over all `values`; a picture is computed the first time the slider comes
    to it. In a rendered page (environment variable BOOK_STATIC=1): at most `frames` of the values, the ends and
    `start` among them, all computed now and put into one HTML figure that needs no kernel, no library and no network,
    with a PNG of the first view for formats without JavaScript. A frame of a 160 x 160 image weighs about 5 kB, of a
    900 x 300 figure 20-40 kB.

    compute   value -> matplotlib Figure (drawn, then closed), or image (y, x) or (y, x, 3) in [0, 1], array or tensor
    values    what the slider runs over; numbers, or anything that `text` can put into words (default: 3 digits)
    label     name of the parameter, with its unit
    alt       what the picture shows, for readers who cannot see it
    start     index in `values` of the first view
    width     CSS width of the picture, such as "24rem"; "auto" is its own size

    Returns an object to be shown as the last line of a cell. Errors of `compute` are raised here in a rendered page.
    """
    values = list(values)
    words = [(text or "{:.3g}".format)(value) for value in values]
    if os.environ.get(STATIC) != "1":
        return _live(compute, values, words, label, start, width)
    kept = _spread(len(values), frames, start)
    pictures = [raster(compute(values[k])) for k in kept]
    return Frames(pictures, [words[k] for k in kept], label, alt, kept.index(start), width)


@dataclass(frozen=True)
class Frames:
    """A slider for a page without a kernel: every picture beside the words for its value."""

    pictures: list[Image.Image]
    words: list[str]
    label: str
    alt: str
    start: int
    width: str

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        sources = [data_url(picture) for picture in self.pictures]
        alts = [f"{self.alt}, {self.label} {word}" for word in self.words]
        page = PAGE.format(
            label=html.escape(self.label),
            value=html.escape(self.words[self.start]),
            last=len(sources) - 1,
            start=self.start,
            source=sources[self.start],
            alt=html.escape(alts[self.start]),
            width=html.escape(self.width),
            sources=script(sources),
            values=script(self.words),
            alts=script(alts),
        )
        weight = sum(map(len, sources)) / 1000
        return {
            "text/html": page,
            "image/png": base64.b64encode(png(self.pictures[self.start])).decode(),
            "text/plain": f"<{len(sources)} frames, {self.label} {self.words[0]} to {self.words[-1]}, {weight:.0f} kB>",
        }


def _live(compute, values, words, label, start, width):
    """The ipywidgets slider of a live kernel."""
    import ipywidgets  # imported here: a rendered page needs none of it

    seen = {}
    image = ipywidgets.Image(format="png", layout=ipywidgets.Layout(width=width, max_width="100%"))
    slider = ipywidgets.SelectionSlider(
        options=[(word, k) for k, word in enumerate(words)],
        value=start,
        description=label,
        continuous_update=False,
        style={"description_width": "initial"},
        layout=ipywidgets.Layout(width="32rem", max_width="100%"),
    )

    def show(k):
        if k not in seen:
            seen[k] = png(raster(compute(values[k])))
        image.value = seen[k]

    slider.observe(lambda change: show(change["new"]), "value")
    show(start)
    return ipywidgets.VBox([slider, image])


def _spread(count: int, most: int, start: int) -> list[int]:
    """At most `most` (3 or more) of range(count), evenly spaced: both ends, and `start` for an inner neighbor."""
    kept = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    if start not in kept:
        kept[1 + np.abs(kept[1:-1] - start).argmin()] = start
    return kept.tolist()


def raster(picture) -> Image.Image:
    """The pixels of what `compute` returned; a Figure is closed, so that no cell shows it a second time."""
    if hasattr(picture, "savefig"):
        from matplotlib import pyplot

        buffer = io.BytesIO()
        picture.savefig(buffer, format="png", facecolor="white")
        pyplot.close(picture)
        return Image.open(buffer).convert("RGB")
    pixels = picture.detach().cpu() if hasattr(picture, "detach") else picture
    pixels = np.clip(np.asarray(pixels, dtype=np.float64), 0, 1)
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


def data_url(picture: Image.Image) -> str:
    """A picture as the address of itself."""
    return "data:image/webp;base64," + base64.b64encode(_webp(picture)).decode()


def _webp(picture: Image.Image) -> bytes:
    """The smaller of two encodings: photographs compress better with loss, line drawings without."""
    buffers = [io.BytesIO(), io.BytesIO()]
    picture.save(buffers[0], "webp", quality=85, method=6)
    picture.save(buffers[1], "webp", lossless=True, method=4)
    return min((buffer.getvalue() for buffer in buffers), key=len)


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def script(value) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value).replace("</", "<\\/")
