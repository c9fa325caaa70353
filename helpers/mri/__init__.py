"""The measurement: the Fourier transform, masks, coils, the operator A, its noise, and the scores of an image."""
