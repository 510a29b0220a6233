"""What one writes by hand: load a model, quantize it with Quanto, save it."""

import sys

from optimum.quanto import freeze, qint8, quantize
from safetensors.torch import save_file
from transformers import CLIPModel

source, target = sys.argv[1:]
model = CLIPModel.from_pretrained(source, dtype="auto")
quantize(model, weights=qint8)
freeze(model)
save_file(model.state_dict(), target)
