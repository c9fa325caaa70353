"""What the tables say: claims, intervals and verdicts. It reads tables and draws nothing."""

from helpers.findings import audit, factors, hard, noise, quality, shifts, shipped, transfer, verdicts

__all__ = ["audit", "factors", "hard", "noise", "quality", "shifts", "shipped", "transfer", "verdicts"]
