"""What the tables say: claims, intervals and verdicts. It reads tables and draws nothing."""

from helpers.findings import (
    audit,
    drawn_to_real,
    factors,
    hard,
    heat_maps,
    noise,
    pathologies,
    quality,
    shifts,
    shipped,
    transfer,
    verdicts,
)

__all__ = ["audit", "drawn_to_real", "factors", "hard", "heat_maps", "noise", "pathologies", "quality", "shifts"]
__all__ += ["shipped", "transfer", "verdicts"]
