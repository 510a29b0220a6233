"""2-D convolutions of int8 filters with images that are quantized to int8 as well.

Each image is quantized by its maximum, so that what else is in a batch does not matter to it.
"""

from __future__ import annotations

from typing import Any

import torch

from quantcli.kernels.dynamic import LARGEST, MIDDLE, SMALLEST, ZERO_POINT
from quantcli.kernels.scratch import scratch
from quantcli.process import release_mapped

LEAST = 512
"""Values in a filter. With fewer, it takes as long to quantize images as it saves."""

_KERNEL = torch.ops.onednn.qconv2d_pointwise.default


def convolve(images: torch.Tensor, weight: Any, module: Any) -> torch.Tensor | None:
    """Return what a module with this weight makes of images (n, c, h, w), quantized.

    None where it is to do that itself: it would not be faster, or gradients are wanted.
    """
    if images.dim() != 4 or not _serves(module, images):
        return None
    convolution = getattr(weight, "quantcli_convolution", None)
    if convolution is None:
        convolution = weight.quantcli_convolution = Convolution(weight, module)
    return convolution(images, module.bias)


def _serves(module: Any, images: torch.Tensor) -> bool:
    if torch.compiler.is_compiling() or module.weight_qtype.name != "qint8":
        return False
    if images.dtype is not torch.float32 or images.device.type != "cpu":
        return False
    if torch.is_grad_enabled() and images.requires_grad:
        return False
    height, width = module.kernel_size
    plain = module.groups == 1 and module.padding_mode == "zeros"
    large = module.in_channels * height * width >= LEAST
    return plain and large and not isinstance(module.padding, str)


class Convolution:
    """The filters (o, c, h, w) of a module, which oneDNN packs once. Weights are copied without."""

    def __init__(self, weight: Any, module: Any) -> None:
        self._geometry = (module.stride, module.padding, module.dilation)
        self._scale = weight._scale.flatten().float() / LARGEST
        self._zeros = torch.zeros(len(self._scale), dtype=torch.int64)
        self._packed = torch.ops.onednn.qconv_prepack(
            weight._data, self._scale, 1.0, 0, *self._geometry, 1, None
        )
        release_mapped([(weight._data.data_ptr(), weight._data.nbytes)])

    def __call__(self, images: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Return the convolved images, in the memory format of those given."""
        shape = tuple(images.shape)
        reach = images.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_(min=SMALLEST)
        values = torch.mul(images, LARGEST / reach).add_(MIDDLE)
        codes = scratch(shape, torch.uint8).copy_(values.view(torch.int32))
        found: torch.Tensor = _KERNEL(
            codes,
            1.0,
            ZERO_POINT,
            self._packed,
            self._scale,
            self._zeros,
            None,
            *self._geometry,
            1,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        if bias is None:
            found.mul_(reach)
        else:
            torch.addcmul(bias[:, None, None], found, reach, out=found)
        return found.contiguous() if images.is_contiguous() else found

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(None), ())
