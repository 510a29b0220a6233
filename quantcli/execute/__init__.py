"""Runs a plan: reads row blocks from the checkpoint, writes the output shards."""

from quantcli.execute.run import NoProgress, Progress, RunResult, run_plan

__all__ = ["NoProgress", "Progress", "RunResult", "run_plan"]
