"""What is measured: methods on slices, tuning, attacks and their transfer, and the long tables that keep the rows."""
