"""What the chapters of the book call: the measurement model, methods, data and yardsticks of robust MRI."""

__version__ = "0.2.0"
