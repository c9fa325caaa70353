"""What the chapters of the book call: measurement model, methods, data, and yardsticks for robust MRI reconstruction."""

__version__ = "0.1.0"
