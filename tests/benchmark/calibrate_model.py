"""Calibrate a model in 2 GB, and print the peak of the memory that no file backs."""

import json
import re
import sys
import threading
from pathlib import Path

import quantcli

SAMPLES = {"samples": 2, "max_tokens": 64}
STATUS = Path("/proc/self/status")
peak = 0
done = threading.Event()


def watch() -> None:
    global peak  # noqa: PLW0603 - one number, one thread
    while not done.wait(0.02):
        peak = max(peak, int(re.search(r"^RssAnon:\s+(\d+)", STATUS.read_text(), re.MULTILINE)[1]))


watcher = threading.Thread(target=watch)
watcher.start()
try:
    quantcli.calibrate(sys.argv[1], output=sys.argv[2], samples=SAMPLES, memory=2 * 10**9)
finally:
    done.set()
    watcher.join()
print(json.dumps({"peak": peak * 1024}))
