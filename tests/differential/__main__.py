"""The differential suite as a command: random cases for some minutes, or one case again."""

import argparse
import json
import sys
from pathlib import Path

from tests.differential.kinds import KINDS
from tests.differential.running import check, run, work


def main(arguments=None):
    """Run what the arguments say; return 1 when a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="child processes side by side")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these kinds of cases; may be repeated")
    parser.add_argument("--case", help="check one case, as a failure prints it (with --kind)")
    parser.add_argument("--json", type=Path, help="write counts and failures to this file")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    kinds = given.kind or list(KINDS)
    if given.case:
        check(kinds[0], json.loads(given.case))
        print("ok")
        return 0
    if given.worker:
        work(kinds, given.seed, *given.worker)
    findings = run(kinds, given.minutes, given.seed, given.jobs, lambda text: print(text, flush=True))
    for kind in kinds:
        print(f"{kind:20} {findings.cases[kind]:8} cases {findings.failed(kind):6} failures")
    if given.json:
        given.json.write_text(json.dumps(findings.as_json(seed=given.seed, minutes=given.minutes), indent=1) + "\n")
    return 1 if findings.failures else 0


if __name__ == "__main__":
    sys.exit(main())
