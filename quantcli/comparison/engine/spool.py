"""The original's outputs on disk, since both models are never in memory together."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from quantcli.comparison.families.family import Outputs
from quantcli.files import reason, write_error

if TYPE_CHECKING:
    import torch


class Spool:
    """A temporary folder with a file of outputs per feed, deleted on exit."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="quantcli-")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def write(self, index: int, outputs: Outputs) -> None:
        """Write the outputs for a feed. Raises `MachineError` if the disk is full."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        whole = {name: tensor.detach().contiguous() for name, tensor in outputs.items()}
        try:
            save_file(whole, self._path(index))
        except (OSError, SafetensorError) as error:
            raise write_error(
                f"the original's outputs to {self._folder.name}",
                reason(error),
                hint="free some space, set TMPDIR to another disk, or compare fewer --samples",
            ) from error

    def read(self, index: int) -> dict[str, torch.Tensor]:
        """Read the outputs for a feed."""
        from safetensors.torch import load_file

        return load_file(self._path(index))

    def _path(self, index: int) -> Path:
        return Path(self._folder.name) / f"{index:06}.safetensors"
