"""The report as workflow commands, which GitHub Actions shows as annotations of a run."""

from __future__ import annotations

from quantcli.comparison.gates import Judgement, Verdict
from quantcli.comparison.reports.report import Report
from quantcli.comparison.reports.rows import UNREACHED_TITLE, unreached_rows

_TITLE = "quantcli compare"


def annotate(report: Report) -> list[str]:
    """Return the workflow commands for a report.

    An error for each failed gate (a warning if failures are only reported), a warning for each
    uncertain gate and for modules that no sample reached, and a notice if all gates passed.
    """
    judgement = report.judgement
    lines = [line for verdict in judgement.verdicts for line in _of_gate(verdict, judgement)]
    unreached = ", ".join(name for name, _ in unreached_rows(report.comparison))
    if unreached:
        lines.append(
            _command("warning", f"{_TITLE}: not exercised", f"{UNREACHED_TITLE}: {unreached}")
        )
    if judgement.passed:
        lines.append(_command("notice", _TITLE, judgement.summary))
    return lines


def _of_gate(verdict: Verdict, judgement: Judgement) -> list[str]:
    if verdict.status == "passed" and not verdict.uncertain:
        return []
    fails = not judgement.accepts(verdict) and not judgement.report_only
    level = "error" if fails else "warning"
    title = f"{_TITLE}: {verdict.condition} {verdict.outcome}"
    return [_command(level, title, verdict.message)]


def _command(level: str, title: str, message: str) -> str:
    name = _escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={name}::{_escape(message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
