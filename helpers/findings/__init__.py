"""What the tables say: claims, intervals and verdicts. It reads tables and draws nothing."""

from helpers.findings import audit, noise, quality, shifts, shipped, transfer, verdicts

__all__ = ["audit", "noise", "quality", "shifts", "shipped", "transfer", "verdicts"]
