"""Run the plan of a model twice in one process, and print how long the second time took."""

import json
import os
import sys
import time
from pathlib import Path
from shutil import rmtree

from quantcli.api import make_request, plan_request
from quantcli.execute import run_plan

model, weights, target = sys.argv[1:]
plan, source = plan_request(make_request(model, weights=weights))
folder = Path(target)
for _ in range(2):
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    began = time.perf_counter()
    run_plan(plan, source, folder, jobs=os.cpu_count() or 1)
    seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds}))
