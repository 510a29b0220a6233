"""The report as JUnit XML, with a test case per gate."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from quantcli.comparison.gates import Judgement, Verdict
from quantcli.comparison.reports.formats import report_format
from quantcli.comparison.reports.report import Report
from quantcli.comparison.reports.rows import UNREACHED_TITLE, unreached_rows

_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow."""


@report_format("junit")
def junit(report: Report) -> str:
    """Return the report as JUnit XML."""
    suites = ET.Element("testsuites", name="quantcli compare")
    suites.append(_suite(report))
    ET.indent(suites)
    text = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(report: Report) -> ET.Element:
    comparison, judgement = report.comparison, report.judgement
    suite = ET.Element(
        "testsuite",
        name=_clean(f"{comparison.quantized.model} against {comparison.original.model}"),
        tests=str(max(1, len(judgement.verdicts))),
        failures=str(len(judgement.failed)),
        errors="0",
        skipped="0",
        time=f"{comparison.seconds:.3f}",
    )
    if comparison.kernels:
        properties = ET.SubElement(suite, "properties")
        ET.SubElement(properties, "property", name="kernels", value=comparison.kernels)
    suite.extend([_case(verdict, judgement, comparison.task) for verdict in judgement.verdicts])
    if not judgement.verdicts:
        suite.append(_empty_case(comparison.task))
    unreached = unreached_rows(comparison)
    if unreached:
        lines = [UNREACHED_TITLE, *(f"{name} ({count})" for name, count in unreached)]
        ET.SubElement(suite, "system-out").text = _clean("\n".join(lines))
    return suite


def _case(verdict: Verdict, judgement: Judgement, task: str) -> ET.Element:
    case = _bare_case(verdict.condition, task)
    message = _clean(verdict.message)
    if not judgement.accepts(verdict):
        failure = ET.SubElement(case, "failure", message=message, type=verdict.outcome)
        failure.text = _clean(
            f"limit: {verdict.operator} {verdict.limit!r}\nvalue: {verdict.value!r}"
        )
    elif verdict.uncertain:
        ET.SubElement(case, "system-out").text = message
    return case


def _empty_case(task: str) -> ET.Element:
    case = _bare_case("no gates", task)
    ET.SubElement(case, "system-out").text = "no gates were set"
    return case


def _bare_case(name: str, task: str) -> ET.Element:
    return ET.Element("testcase", classname=f"quantcli.compare.{task}", name=_clean(name), time="0")


def _clean(text: str) -> str:
    return _INVALID.sub("", text)
