"""``python -m benchmarks step …`` from the clone: the same as ``scratchnet bench step …``."""

import sys

from scratchnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
