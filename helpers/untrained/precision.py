"""The precision of a fit's convolutions: bfloat16 where the device multiplies it faster than float32."""

import torch


def used(asked: str, device: torch.device) -> str:
    """The precision that the convolutions of a fit have on a device where one is asked for, see `problem.Settings`."""
    return asked if asked == "float32" or pays(device) else "float32"


def pays(device: torch.device, found: dict | None = None) -> bool:
    """Whether convolutions in bfloat16 are faster than in float32 on a device.

    A processor has to multiply it by itself: by AMX, or by the AVX-512 of AMD. That of Intel does half as many at a
    time, and others convert every number there and back. found: what the processor can do; None: this one.
    """
    if device.type != "cpu":
        return True
    found = torch.cpu.get_capabilities() if found is None else found
    return found.get("amx_bf16", False) or (found.get("avx512_bf16", False) and "AMD" in found["cpu_name"])
