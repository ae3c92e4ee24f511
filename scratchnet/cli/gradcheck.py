"""``scratchnet gradcheck``: compare every gradient with numerical differences."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from scratchnet.cli.flags import Positional
from scratchnet.cli.parsing import parse, say
from scratchnet.engine.device import DeviceName, array_module
from scratchnet.gradcheck import all_cases
from scratchnet.utils.errors import UserError


@dataclass(frozen=True)
class GradcheckArguments:
    """Compare the gradients of all operations, layers, losses and models with central differences in float64."""

    names: Annotated[tuple[str, ...], Positional("[NAME…]")] = ()
    """Check only cases whose name contains one of these words."""
    device: DeviceName = "cpu"
    """cpu, or gpu (an NVIDIA GPU, through CuPy): device of the checked code; the comparison runs on the CPU."""


def main(words: Sequence[str]) -> int:
    """Run the command; exit 1 when a gradient is wrong."""
    arguments = parse(GradcheckArguments, words, "gradcheck", "scratchnet gradcheck pool model/squares")
    xp, cases = array_module(arguments.device), all_cases()
    for word in arguments.names:
        if not any(word.lower() in case.name.lower() for case in cases):
            groups = ", ".join(dict.fromkeys(case.name.split("/")[0] + "/NAME" for case in cases))
            raise UserError(
                f"no case name contains '{word}'; names are {groups}; `scratchnet gradcheck` lists them all"
            )
    chosen = [c for c in cases if not arguments.names or any(w.lower() in c.name.lower() for w in arguments.names)]
    width = max(len(case.name) for case in chosen)
    say(f"{'':4} {'case':<{width}}  worst error  limit  compared  kinks skipped  worst at")
    begin, failed = time.perf_counter(), 0
    for case in chosen:
        report = case.run(xp)
        failed += not report.ok
        worst = report.worst
        line = (
            f"{'ok' if report.ok else 'BAD':4} {case.name:<{width}}  {worst.error:11.1e}  {report.tolerance:.0e}  "
            f"{report.checked:8}  {report.skipped:13}  {worst.where}"
        )
        say(line if report.ok else "\n     ".join([line, *map(str, report.failures)]))
    say(f"\n{len(chosen) - failed} of {len(chosen)} gradients agree, {time.perf_counter() - begin:.1f} s")
    return 1 if failed else 0
