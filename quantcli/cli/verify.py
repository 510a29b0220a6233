"""`quantcli verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantcli.cli import options
from quantcli.cli.terminal.output import print_json, print_sentence
from quantcli.errors import VerificationError

EXAMPLES = """\b
Example:
  quantcli verify clip-vit-large-patch14-int8
"""


def verify(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", callback=options.home, help="A frozen directory.", show_default=False
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Check the files of a frozen directory against its checksums.

    Exits with 1 if a file is missing or has changed, or if weights or code were added. Other added
    files are listed, but are no error.
    """
    from quantcli.frozen.verify import check

    found = check(directory)
    if as_json:
        print_json(
            {
                "directory": str(directory),
                "files": found.files,
                "problems": list(found.problems),
                "added": list(found.added),
            }
        )
    else:
        if not found.problems:
            print_sentence(f"{directory}: all {found.files} files match the manifest")
        if found.added:
            print_sentence(f"{directory}: added, not in the manifest: {', '.join(found.added)}")
    if found.problems:
        raise VerificationError(f"{directory}: {found.listed}", hint=found.hint)
