"""One weight's way through linear quantization, in numbers: what `quantcli explain` shows."""

from quantcli.explanation.choose import Chosen, choose
from quantcli.explanation.explanation import Comparison, Explanation, Grid, Span, Worked
from quantcli.explanation.make import Part, explain_tensor

__all__ = [
    "Chosen",
    "Comparison",
    "Explanation",
    "Grid",
    "Part",
    "Span",
    "Worked",
    "choose",
    "explain_tensor",
]
