"""What the tables say: claims, intervals and verdicts. It reads tables and draws nothing."""

from helpers.findings import audit, drawn_to_real, factors, hard, noise, quality, shifts, shipped, transfer, verdicts

__all__ = ["audit", "drawn_to_real", "factors", "hard", "noise", "quality", "shifts", "shipped", "transfer", "verdicts"]
