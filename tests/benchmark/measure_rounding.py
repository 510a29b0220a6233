"""Quantize a model as the first argument says, compare it, and print metrics and bytes."""

import json
import sys
from pathlib import Path

import quantcli

asked = json.loads(sys.argv[1])
made = quantcli.quantize(asked["model"], output=sys.argv[2], **asked["options"])
samples = {"generate": False, **asked["samples"]}
report = quantcli.compare(asked["model"], made.output, samples=samples)
metrics = {name: found.value for name, found in report.comparison.metrics.items()}
stored = sum(path.stat().st_size for path in Path(made).glob("*.safetensors"))
print(json.dumps({"metrics": metrics, "bytes": made.plan.nbytes, "stored": stored}))
