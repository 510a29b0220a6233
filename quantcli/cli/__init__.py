"""The command line: parse, call the API, render."""

from quantcli.cli.app import app, main, run

__all__ = ["app", "main", "run"]
