"""Reports of a comparison, for people and for machines: JSON, Markdown, JUnit, annotations."""

from quantcli.comparison.gates.textfile import check_writable
from quantcli.comparison.gates.textfile import write_whole as write_report
from quantcli.comparison.reports.formats import FORMATS
from quantcli.comparison.reports.junit import junit
from quantcli.comparison.reports.markdown import markdown
from quantcli.comparison.reports.report import Change, Report, to_json
from quantcli.comparison.reports.workflow import annotate

__all__ = [
    "FORMATS",
    "Change",
    "Report",
    "annotate",
    "check_writable",
    "junit",
    "markdown",
    "to_json",
    "write_report",
]
