"""A whole weight, rounded by the second moments of its inputs, and written."""

from __future__ import annotations

import torch

from quantcli.calibration import Calibration, Moment
from quantcli.errors import ModelError
from quantcli.execute.shard import ShardFile
from quantcli.execute.workspace import Reader, Workspace
from quantcli.kinds.layout import packed_rows
from quantcli.planning import TensorPlan
from quantcli.quantizers import blockwise
from quantcli.quantizers.compensated import Compensated, compensated


class Compensating:
    """Rounds one weight, one of its matrices after the other.

    A matrix that no sample reached is rounded as without a calibration.
    """

    def __init__(self, tensor: TensorPlan, reader: Reader, calibration: Calibration | None) -> None:
        self._tensor = tensor
        self._reader = reader
        self._calibration = calibration
        self._dtype: torch.dtype = getattr(torch, tensor.dtype)

    def write(self, shard: ShardFile) -> None:
        """Round the weight, and write its parts. Raises `ModelError` if it is not finite."""
        tensor = self._tensor
        groups, columns = tensor.grouped_shape[0], tensor.numel // tensor.grouped_shape[0]
        codes = torch.empty(groups, columns, dtype=torch.uint8)
        scale, shift = torch.empty(2, groups, 1, dtype=self._dtype)
        start = 0
        for matrix in range(self._matrices):
            found = self._round(matrix)
            end = start + len(found.scale)
            codes[start:end] = found.codes.view(-1, columns)
            scale[start:end], shift[start:end] = found.scale, found.shift
            start = end
        step = packed_rows(groups, tensor.weight_format)
        packed = torch.empty(step, columns, dtype=torch.uint8)
        blockwise.pack(codes.split(step), tensor.weight_format, packed)
        for part, values in {"_data._data": packed, "_scale": scale, "_shift": shift}.items():
            shard.write(f"{tensor.name}.{part}", 0, values)

    @property
    def _moment(self) -> Moment | None:
        if self._tensor.moment is None:
            return None
        assert self._calibration is not None, self._tensor.name
        return self._calibration.moments[self._tensor.moment]

    @property
    def _matrices(self) -> int:
        return 1 if self._moment is None else self._moment.matrices

    def _round(self, matrix: int) -> Compensated:
        tensor, moment = self._tensor, self._moment
        rows = self._read(matrix)
        if moment is not None and not moment.rows[matrix]:
            return self._plainly(rows)
        values = None
        if moment is not None and self._calibration is not None:
            values = self._calibration.moment(moment.name, matrix)
        return compensated(
            rows,
            values,
            tensor.weight_format,
            tensor.group_size,
            dtype=self._dtype,
            tinygemm=tensor.uses_kernel,
        )

    def _plainly(self, rows: torch.Tensor) -> Compensated:
        """Round as Quanto does."""
        groups = rows.view(-1, self._tensor.group_size or rows.shape[1])
        codes = torch.empty(groups.shape, dtype=torch.uint8)
        scale, shift = torch.empty(2, len(groups), 1, dtype=self._dtype)
        blockwise.affine(groups, self._tensor.weight_format, codes, scale, shift)
        if self._tensor.uses_kernel:
            shift = blockwise.tinygemm_shift(scale, shift)
        return Compensated(codes=codes.view(rows.shape), scale=scale, shift=shift)

    def _read(self, matrix: int) -> torch.Tensor:
        """Return the rows of one matrix, (rows, columns), in the dtype of the model."""
        tensor = self._tensor
        count = tensor.quantized_shape[0] // self._matrices
        columns = tensor.numel // tensor.quantized_shape[0]
        rows = torch.empty(count, columns, dtype=self._dtype)
        self._reader.read(matrix * rows.numel(), rows.view(-1), Workspace())
        if not rows.isfinite().all():
            raise ModelError(
                f"{tensor.name}: weights are not finite in {tensor.dtype}",
                hint="the checkpoint is damaged, or overflows the dtype: use --rest bfloat16",
            )
        return rows
