"""The same random numbers for both models, without changing the caller's generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_LIMIT = 2**32
"""NumPy's seeds are below this."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python, NumPy and torch for a forward pass, then restore their states.

    `torch.random.fork_rng` restores the generators of the CPU and of CUDA, not of other devices.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what models draw from
    seed %= _LIMIT
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - see above
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002 - see above
