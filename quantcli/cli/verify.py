"""`quantcli verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantcli.cli import options
from quantcli.cli.output import print_json, say
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

    Compares the sha256 of every file with the manifest. Exits with 1 if a file is missing or
    has changed.
    """
    from quantcli.frozen.manifest import read_manifest
    from quantcli.frozen.verify import verify as check

    problems = check(directory)
    files = len(read_manifest(directory)["files"])
    if as_json:
        print_json({"directory": str(directory), "files": files, "problems": problems})
    elif not problems:
        say(f"{directory}: all {files} files match their checksums")
    if problems:
        raise VerificationError(
            f"{directory}: {'; '.join(problems[:5])}", hint="quantize the original again"
        )
