"""A slider shows the same pictures live and rendered, and its page needs nothing from anywhere."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from helpers.figures import sliders


@pytest.fixture
def rendered(monkeypatch):
    monkeypatch.setenv(sliders.STATIC, "1")


@pytest.fixture
def live(monkeypatch):
    monkeypatch.delenv(sliders.STATIC, raising=False)


def picture(strength: float) -> np.ndarray:
    return np.clip(np.add.outer(np.linspace(0, 1, 40), np.linspace(0, strength, 60)), 0, 1)


def page(explorer) -> str:
    return explorer._repr_mimebundle_()["text/html"]


def frames(text: str) -> list[Image.Image]:
    sources = json.loads(re.search(r"sources = (\[.*?\]), values", text)[1])
    return [Image.open(io.BytesIO(base64.b64decode(s.partition(",")[2]))) for s in sources]


def test_a_rendered_slider_holds_one_picture_a_value(rendered):
    shown = frames(page(sliders.explorer(picture, [0, 0.5, 1], "strength")))
    assert len(shown) == 3
    for frame, strength in zip(shown, [0, 0.5, 1], strict=True):
        error = np.abs(np.asarray(frame.convert("L")) / 255 - picture(strength))
        assert error.max() < 0.03  # lossy WebP may be 7 of 255 gray levels off at quality 85


def test_arrays_tensors_and_figures_are_pictures(rendered):
    plt.close("all")

    def figure(value):
        drawn, axes = plt.subplots(figsize=(3, 2), dpi=50)
        axes.plot([0, value])
        return drawn

    for compute, size in (
        (lambda v: np.full((20, 30), v), (30, 20)),
        (lambda v: torch.full((20, 30, 3), v), (30, 20)),
        (figure, (150, 100)),
    ):
        assert [f.size for f in frames(page(sliders.explorer(compute, [0.0, 1.0], "value")))] == [size] * 2
    assert not plt.get_fignums()  # or the cell would show each figure a second time


def test_few_frames_of_many_values_keep_the_ends_and_the_first_view(rendered):
    for start in (0, 1, 37, 99, 100):
        explorer = sliders.explorer(picture, np.linspace(0, 1, 101), "strength", start=start, frames=5)
        assert explorer.words[explorer.start] == f"{start / 100:.3g}"
        assert (explorer.words[0], explorer.words[-1], len(explorer.words)) == ("0", "1", 5)


def test_rendering_twice_gives_the_same_bytes(rendered):
    one, two = (page(sliders.explorer(picture, [0, 1], "strength")) for _ in range(2))
    assert one == two
    assert not re.search(r"\bid=", one)  # so equal sliders on one page cannot be mistaken for each other


def test_a_page_needs_nothing_from_elsewhere_and_has_names(rendered):
    text = page(sliders.explorer(picture, [0, 1], 'size <of> "it" & more', alt="a </script> ramp"))
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", text)
    seen = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            seen.append((tag, dict(attributes)))

    Reader().feed(text)
    tags = [tag for tag, _ in seen]
    assert tags == ["figure", "label", "span", "output", "input", "img", "script"]
    assert dict(seen)["input"]["aria-label"] == 'size <of> "it" & more'
    assert dict(seen)["img"]["alt"] == 'a </script> ramp, size <of> "it" & more 0'
    assert text.count("</script>") == 1


def test_a_failing_picture_fails_the_book(rendered):
    with pytest.raises(ZeroDivisionError):
        sliders.explorer(lambda value: picture(1 / value), [1, 0], "value")


def test_formats_without_javascript_get_the_first_view(rendered):
    bundle = sliders.explorer(picture, [0, 1], "strength", start=1)._repr_mimebundle_()
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))))
    assert np.array_equal(still, np.round(picture(1) * 255).astype(np.uint8))


def test_weight_is_as_documented(rendered):
    generator = np.random.default_rng(0)
    smooth = np.abs(np.fft.ifft2(np.fft.fft2(generator.normal(size=(160, 160))) / (1 + np.arange(160))))
    image = smooth / smooth.max()
    assert len(page(sliders.explorer(lambda v: image * v, np.linspace(0.1, 1, 30), "gain"))) < 9 * 20_000


def test_live_slider_computes_what_it_shows_once(live):
    computed = []

    def compute(value):
        computed.append(value)
        return picture(value)

    slider, image = sliders.explorer(compute, [0, 0.5, 1], "strength", start=1).children
    assert computed == [0.5]
    first = image.value
    slider.value = 2
    assert computed == [0.5, 1] and image.value != first
    shown = np.asarray(Image.open(io.BytesIO(image.value)))
    assert np.array_equal(shown, np.round(picture(1) * 255).astype(np.uint8))
    slider.value = 1
    assert computed == [0.5, 1] and image.value == first
