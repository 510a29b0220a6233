"""What a comparison found, for people and for machines: JSON, Markdown, JUnit, annotations."""

from quantcli.gates.textfile import check_writable
from quantcli.gates.textfile import write_whole as write_report
from quantcli.reports.data import Change, Report, to_json
from quantcli.reports.junit import junit
from quantcli.reports.markdown import markdown
from quantcli.reports.workflow import annotate

__all__ = [
    "Change",
    "Report",
    "annotate",
    "check_writable",
    "junit",
    "markdown",
    "to_json",
    "write_report",
]
