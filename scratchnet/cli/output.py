"""The flags ``--json`` and ``--quiet``, with one meaning in all commands."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from scratchnet.utils.verbosity import verbosity


@dataclass(frozen=True, kw_only=True)
class OutputArguments:
    """Flags for the output on stdout and stderr."""

    json: bool = False
    """Print one JSON object with the results on stdout, and nothing else there."""
    quiet: bool = False
    """Print errors only, and the object of --json."""

    def output(self) -> AbstractContextManager[None]:
        """Return a context in which `say` prints nothing with --json or --quiet; --quiet also hides progress."""
        return verbosity(lines=not (self.json or self.quiet), progress=not self.quiet)

    def print_json(self, document: Mapping[str, Any]) -> None:
        """Print the command's results with --json, else nothing; they contain no nan."""
        if self.json:
            print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), flush=True)
