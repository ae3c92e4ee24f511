"""Damaged files and command lines for some minutes, or one of them again."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.fuzz.kinds import KINDS
from tests.fuzz.running import run, try_once, work
from tests.fuzz.seeds import make_seeds
from tests.fuzz.trying import GOOD


def main(arguments=None):
    """Run what the arguments say; return 1 when an input failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=(*KINDS, "all"))
    parser.add_argument("--minutes", type=float, default=1, help="for each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="child processes side by side")
    parser.add_argument("--input", type=int, help="try this input only")
    parser.add_argument("--save", type=Path, default=Path("fuzz-failures"), help="folder for inputs that failed")
    parser.add_argument("--json", type=Path, help="write counts and failures to this file")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        first, step, box = given.worker
        work(given.kind, given.seed, int(first), int(step), Path(box))
    if given.input is not None:
        return _again(given)
    kinds = list(KINDS) if given.kind == "all" else [given.kind]
    findings = run(kinds, given.minutes, given.seed, given.jobs, given.save, lambda text: print(text, flush=True))
    if given.json:
        counts = {kind: dict(counted) for kind, counted in findings.counts.items()}
        summary = {"seed": given.seed, "minutes": given.minutes, "counts": counts, "failures": findings.failures}
        given.json.write_text(json.dumps(summary, indent=1) + "\n")
    return 1 if findings.failures or len(findings.counts) < len(kinds) else 0


def _again(given):
    """Try one input and tell what came of it."""
    folder = tempfile.mkdtemp(prefix="scratchnet-fuzz-")
    seeds = make_seeds(Path(folder, "seeds"))
    outcome, message = try_once(given.kind, given.seed, given.input, seeds, Path(folder))
    print(f"{given.kind} {given.input}: {outcome}\n{message}\nin {folder}")
    return 0 if outcome in GOOD else 1


if __name__ == "__main__":
    sys.exit(main())
