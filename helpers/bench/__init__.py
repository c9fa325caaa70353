"""How fast the project is, as a ratio to sigpy, BART, fastMRI and unrolling."""
