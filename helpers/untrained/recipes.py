"""The un-trained methods by name: how each network is fitted, as this book has it or as published."""

from dataclasses import replace

from helpers.untrained.problem import Settings

# As the paper's code and its predecessor have them (facts 2.5, 2.6), but for the scale, which they took from the full
# k-space, and with every shortcut off.
PUBLISHED = Settings(
    maps=False, rate=0.008, cosine=False, mu=None, held=0, consistency=0, crop=False, precision="float32"
)
START = (10, 5)
FITS = {
    "convdecoder": Settings(),
    "convdecoder-small": Settings(options={"channels": 32}),
    "deep-decoder": Settings("deep-decoder"),
    "dip": Settings("dip", steps=350),  # a step of it takes nearly twice as long
    "convdecoder-attack": replace(
        PUBLISHED, options={"channels": 200, "layers": 7, "start": START, "bias": True}, steps=10_000
    ),
    "convdecoder-knee": replace(
        PUBLISHED, options={"channels": 256, "layers": 8, "start": START, "bias": True}, steps=25_000
    ),
    "convdecoder-features": replace(
        PUBLISHED, options={"channels": 128, "layers": 8, "start": START, "bias": True}, steps=25_000
    ),
    "convdecoder-pathology": replace(
        PUBLISHED, options={"channels": 256, "layers": 9, "start": START, "bias": True}, steps=25_000
    ),
    "convdecoder-brain": replace(
        PUBLISHED, maps=True, options={"channels": 64, "layers": 5, "start": START, "bias": True}, steps=25_000
    ),
    "convdecoder-first": replace(PUBLISHED, options={"channels": 160, "layers": 8, "input_scale": 0.1}, steps=10_000),
    "deep-decoder-first": replace(
        PUBLISHED, generator="deep-decoder", options={"channels": 368, "layers": 10}, steps=20_000
    ),
    "dip-first": replace(
        PUBLISHED,
        generator="dip",
        options={"channels": 256, "scales": 8, "skips": [0] * 6 + [4] * 2, "down": 5},
        steps=20_000,
    ),
}
