"""Networks of one architecture, each with its own weights, computed side by side as one: what a GPU is for."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SideBySide(nn.Module):
    """What the networks, which take no arguments, give, stacked: (network, ...).

    Their weights are copied and trained together; an optimizer that treats every number by itself, as Adam does,
    trains each network as if it were alone. Batch norm takes the statistics of the batch at hand, as in training.
    """

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        networks = [torch.func.replace_all_batch_norm_modules_(copy.deepcopy(network)) for network in networks]
        weights, fixed = torch.func.stack_module_state(networks)
        self.names = [*weights, *fixed]
        self.weights = nn.ParameterList(weights.values())
        for name, value in fixed.items():
            self.register_buffer(name.replace(".", "_"), value)
        self.structure = (networks[0],)  # in a tuple, so that its weights are not among ours

    def forward(self) -> Tensor:
        (structure,) = self.structure
        state = dict(zip(self.names, [*self.weights, *self.buffers()], strict=True))
        return torch.func.vmap(lambda one: torch.func.functional_call(structure, one, ()))(state)
