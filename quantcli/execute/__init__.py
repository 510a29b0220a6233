"""Runs a plan: reads row blocks from the checkpoint, writes the output shards."""

from quantcli.execute.run import NoProgress, Progress, RunResult, Work, run_plan, run_work

__all__ = ["NoProgress", "Progress", "RunResult", "Work", "run_plan", "run_work"]
