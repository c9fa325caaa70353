"""What the published notebooks do where this book does otherwise, kept apart so that both can be run."""

from helpers.published import attacks, reconstruction

__all__ = ["attacks", "reconstruction"]
