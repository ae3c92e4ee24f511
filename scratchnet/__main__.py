"""``python -m scratchnet``."""

import sys

from scratchnet.cli.main import main

sys.exit(main())
