"""Running a plan: row blocks from the checkpoint files to the output shards."""

from quantcli.execute.run import NoProgress, Progress, RunResult, run_plan

__all__ = ["NoProgress", "Progress", "RunResult", "run_plan"]
