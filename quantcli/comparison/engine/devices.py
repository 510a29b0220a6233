"""The device that the models run on."""

from __future__ import annotations

import torch

from quantcli.errors import MachineError
from quantcli.text import first_line


def check_device(name: str) -> None:
    """Raise `MachineError` if this machine does not have a device."""
    try:
        torch.empty(1, device=name)
    # AssertionError: this build of torch does not support such devices.
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error)
        raise MachineError(
            f"no {name} on this machine: {reason}", hint="leave out --device to use the CPU"
        ) from error
