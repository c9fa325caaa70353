"""Small features: putting one into a scan, and how much of it an image shows."""
