"""Minimizing a penalty: transforms, total variation, one solver with a certificate, gradients through its minimum."""
