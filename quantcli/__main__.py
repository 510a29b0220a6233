"""`python -m quantcli`."""

import sys

from quantcli.cli import main

sys.exit(main())
