"""Reports of a comparison, for people and for machines: JSON, Markdown, JUnit, annotations."""

from quantcli.comparison.reports.formats import FORMATS
from quantcli.comparison.reports.html import html
from quantcli.comparison.reports.junit import junit
from quantcli.comparison.reports.markdown import markdown
from quantcli.comparison.reports.report import Change, Report, to_json
from quantcli.comparison.reports.workflow import annotate
from quantcli.files import check_writable, write_report

__all__ = [
    "FORMATS",
    "Change",
    "Report",
    "annotate",
    "check_writable",
    "html",
    "junit",
    "markdown",
    "to_json",
    "write_report",
]
