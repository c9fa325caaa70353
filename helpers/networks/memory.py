"""What training has to remember: the memory that autograd keeps from a forward pass for the way back."""

from collections.abc import Callable

import torch
from torch import Tensor


def kept_bytes(forward: Callable[[], object]) -> int:
    """Bytes of all tensors that a forward pass keeps for its backward pass, weights and inputs among them.

    forward: runs the pass, without arguments. What two operations keep is counted once.
    """
    sizes = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept.append(tensor)  # or its memory would be used again, and counted as the same
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        forward()
    return sum(sizes.values())
