"""Modules that quantize what they read, and what they give, as Quanto does."""

from __future__ import annotations

from typing import Any


class QuantizesActivations:
    """Mixin for a module of Quanto, placed before it: it knows whether its output is quantized.

    Quanto's `Calibration` takes the quantization of outputs back where nothing computes with them.
    """

    output_kept = False
    """Whether its output is left as it is, though it has a scale."""

    @property
    def quantizes_activations(self) -> bool:
        """Whether it quantizes anything but weights."""
        module: Any = self
        return module.activation_qtype is not None

    def disable_output_quantization(self) -> None:
        """Leave the output as it is."""
        module: Any = super()
        module.disable_output_quantization()
        self.output_kept = True
