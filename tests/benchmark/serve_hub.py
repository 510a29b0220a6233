"""Serve one model as a Hub repo on loopback; print the clients' environment; end with stdin."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hub import Hub

repo_id, folder = sys.argv[1:]
with Hub(Path("unused")) as hub:
    hub.add_repo(repo_id, Path(folder))
    settings = {name: value for name, value in hub.env().items() if name.startswith("HF_")}
    # a token of the caller's own is none of this Hub's
    settings |= {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "NO_PROXY": "127.0.0.1"}
    print(json.dumps(settings), flush=True)
    sys.stdin.read()
