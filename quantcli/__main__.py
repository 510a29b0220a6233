"""`python -m quantcli`."""

from quantcli.cli import run

run()
