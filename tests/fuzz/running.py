"""Inputs without end, in child processes with limits: one that crashes, hangs or takes too much is noted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import Empty, Queue
from threading import Lock, Thread

from tests.fuzz.trying import BAD, GOOD, attempt

ROOT = Path(__file__).parents[2]

MEMORY = 4 << 30
"""Bytes of address space that a child may take."""

PATIENCE = 60
"""Seconds after which an input counts as hanging."""

SHOWN = 10
"""Failures of a kind that are told and saved; all are counted."""


@dataclass
class Findings:
    """What came out so far.

    Attributes
    ----------
    counts : dict of str to Counter
        For each kind how many inputs ended in which way.
    failures : list of dict
        ``kind``, ``seed``, ``number``, ``outcome``, ``message`` and ``saved``, the folder with the input.
    peaks : dict of str to int
        For each kind the largest resident memory of a child in bytes.
    """

    counts: dict = field(default_factory=lambda: defaultdict(Counter))
    failures: list = field(default_factory=list)
    peaks: dict = field(default_factory=lambda: defaultdict(int))

    def table(self):
        """Return the counts as lines of text."""
        lines = []
        for kind, counts in self.counts.items():
            bad = ", ".join(f"{outcome} {counts[outcome]}" for outcome in BAD)
            good = ", ".join(f"{counts[outcome]} {outcome}" for outcome in GOOD)
            peak = self.peaks[kind] / 2**20
            lines.append(f"{kind}: {counts.total()} inputs, {good}; {bad}; largest resident memory {peak:.0f} MiB")
        return "\n".join(lines)


def work(kind, seed, first, step, box):
    """Try inputs in this process for ever, and tell the parent of each on the standard output."""
    import resource  # which Windows does not have

    from tests.fuzz.seeds import make_seeds

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    seeds = make_seeds(box / "seeds")
    for number in count(first, step):
        parent.write(json.dumps({"begin": number}) + "\n")
        parent.flush()
        outcome, message = try_once(kind, seed, number, seeds, box)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        parent.write(json.dumps({"end": outcome, "message": message, "peak": peak}) + "\n")
        parent.flush()


def try_once(kind, seed, number, seeds, box):
    """Try one input in ``box/NUMBER``, which stays if it fails."""
    place = box / str(number)
    place.mkdir(parents=True)
    outcome, message = attempt(kind, seed, number, seeds, place)
    if outcome in GOOD:
        shutil.rmtree(place)
    return outcome, message


def run(kinds, minutes, seed, jobs, save, say):
    """Try each kind for some minutes and return the findings; inputs that fail are saved in the folder ``save``."""
    findings, lock = Findings(), Lock()
    for kind in kinds:
        end = time.monotonic() + 60 * minutes
        watchers = [
            Thread(target=_watch, args=(kind, seed, job, jobs, end, findings, lock, save, say)) for job in range(jobs)
        ]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
        say(findings.table().splitlines()[-1] if findings.counts else f"{kind}: no input")
    return findings


def _watch(kind, seed, job, jobs, end, findings, lock, save, say):
    """Keep one child at work until the time is over."""
    number = job

    def note(number, box, event):
        with lock:
            findings.peaks[kind] = max(findings.peaks[kind], event.get("peak", 0))
            findings.counts[kind][event["end"]] += 1
            if event["end"] in BAD:
                failure = {"kind": kind, "seed": seed, "number": number, "outcome": event["end"]}
                findings.failures.append(failure | {"message": event["message"], "saved": ""})
                if findings.counts[kind][event["end"]] <= SHOWN:
                    findings.failures[-1]["saved"] = _saved(box / str(number), save / f"{kind}-{seed}-{number}")
                    say(_told(findings.failures[-1]))

    while number is not None and time.monotonic() < end:
        with tempfile.TemporaryDirectory(prefix="scratchnet-fuzz-", ignore_cleanup_errors=True) as folder:
            child, events = _start(kind, seed, number, jobs, folder), Queue()
            reader = Thread(target=_read, args=(child, events))
            reader.start()
            try:
                number = _follow(child, events, number, end, lambda n, event, box=Path(folder): note(n, box, event))
            finally:
                child.kill()
                child.wait()
                reader.join()
                child.stdout.close()
        number = None if number is None else number + jobs


def _follow(child, events, number, end, note):
    """Note what a child tells, to its end; return its last input's number, None if it never came to one."""
    seen = False
    while (left := end - time.monotonic()) > 0:
        try:
            event = events.get(timeout=min(PATIENCE, left))
        except Empty:
            event = {"end": "hangs over 60 s", "message": f"no answer for {PATIENCE} seconds", "over": True}
        if event is None:
            event = {"end": "crashes", "message": _ended(child), "over": True}
        if "begin" in event:
            number, seen = event["begin"], True
        elif time.monotonic() < end:
            note(number, event)
            if "over" in event:
                return number if seen else None
    return number


def _ended(child):
    status = child.wait()
    how = signal.Signals(-status).name if status < 0 else f"status {status}"
    return f"the process ended with {how}"


def _saved(box, target):
    """Copy an input to a folder that stays."""
    if not box.is_dir():
        return ""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(box, target, symlinks=True)
    return str(target)


def _told(failure):
    again = f"python -m tests.fuzz {failure['kind']} --seed {failure['seed']} --input {failure['number']}"
    where = f" ({failure['saved']})" if failure["saved"] else ""
    return f"FAILED {failure['kind']}: {failure['outcome']}: {failure['message'][-300:].strip()}\n    {again}{where}"


def _start(kind, seed, number, jobs, folder):
    words = [kind, "--seed", str(seed), "--worker", str(number), str(jobs), folder]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _read(child, events):
    for line in child.stdout:
        if line.startswith("{"):
            events.put(json.loads(line))
    events.put(None)
