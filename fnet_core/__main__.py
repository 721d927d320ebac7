"""`python -m fnet_core`: the command line."""

import sys

from fnet_core.cli.main import main

sys.exit(main())
