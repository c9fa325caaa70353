"""What the published notebooks do where this book does otherwise, kept apart so that both can be run."""

from helpers.published import attacks, boxes, coil_images, protocol, reconstruction, site

__all__ = ["attacks", "boxes", "coil_images", "protocol", "reconstruction", "site"]
