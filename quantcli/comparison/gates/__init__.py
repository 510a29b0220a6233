"""What a comparison must meet: gates, baselines, verdicts."""

from quantcli.comparison.gates.baseline import Baseline, load_baseline, save_baseline
from quantcli.comparison.gates.check import (
    check_gates,
    check_regressions,
    check_requirements,
    matching,
)
from quantcli.comparison.gates.gate import Gate, Judgement, Regression, Requirements, Verdict
from quantcli.comparison.gates.grammar import (
    NAMED,
    gates_of,
    named_gate,
    option,
    parse_gate,
    parse_regression,
)
from quantcli.comparison.gates.verdicts import judge

__all__ = [
    "NAMED",
    "Baseline",
    "Gate",
    "Judgement",
    "Regression",
    "Requirements",
    "Verdict",
    "check_gates",
    "check_regressions",
    "check_requirements",
    "gates_of",
    "judge",
    "load_baseline",
    "matching",
    "named_gate",
    "option",
    "parse_gate",
    "parse_regression",
    "save_baseline",
]
