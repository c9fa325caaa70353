"""Fitting networks that were never trained to one measurement: generators, the problem, the fit, and its recipes."""
