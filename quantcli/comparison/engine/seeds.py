"""The same random numbers for both models, and the caller's own left as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_LIMIT = 2**32
"""NumPy takes seeds below this."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python, NumPy and torch for a forward pass, and restore their states after it.

    Of the accelerators only CUDA's generators are restored (`torch.random.fork_rng`).
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
