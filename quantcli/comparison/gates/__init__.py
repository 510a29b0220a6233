"""What a comparison must meet: gates, baselines, verdicts."""

from quantcli.comparison.gates.baseline import Baseline, load_baseline, save_baseline
from quantcli.comparison.gates.check import check_gates, check_regressions
from quantcli.comparison.gates.gate import Gate, Judgement, Regression, Verdict
from quantcli.comparison.gates.spelling import gates_of, named_gate, parse_gate, parse_regression
from quantcli.comparison.gates.verdicts import judge

__all__ = [
    "Baseline",
    "Gate",
    "Judgement",
    "Regression",
    "Verdict",
    "check_gates",
    "check_regressions",
    "gates_of",
    "judge",
    "load_baseline",
    "named_gate",
    "parse_gate",
    "parse_regression",
    "save_baseline",
]
