"""What changes from one scan to another: one thing at a time, on any fully sampled slice."""
