"""Cases without end, in child processes: one that crashes or hangs is a failure, and its child is started anew."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from queue import Empty, Queue

from tests.differential.kinds import KINDS

ROOT = Path(__file__).parents[2]
ROUND = {"network": 30}
"""Cases of a kind in a round, where they are not 100."""

PATIENCE = 180
"""Seconds after which a case counts as hanging."""


@dataclass
class Findings:
    """What came out so far.

    Attributes
    ----------
    cases : Counter
        Of each kind.
    failures : list of dict
        ``kind``, ``message`` and ``case`` of each case that failed.
    """

    cases: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)

    def failed(self, kind):
        """Return how many cases of a kind failed."""
        return sum(failure["kind"] == kind for failure in self.failures)

    def as_json(self, **more):
        """Return a dict that JSON can hold."""
        return more | {"cases": dict(self.cases), "total": sum(self.cases.values()), "failures": self.failures}


def check(kind, case):
    """Check one case; floating-point warnings do not matter, as infinities are among the values."""
    import torch

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        KINDS[kind][1](case)


def work(kinds, seed, first, step):
    """Run rounds in this process for ever, and tell the parent of every case on the standard output."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis.errors import UnsatisfiedAssumption

    def tell(**event):
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()

    def one(kind, case):
        tell(begin=kind, case=case)
        try:
            check(kind, case)
        except UnsatisfiedAssumption:
            tell(end="left out")
            raise
        except Exception as error:
            tell(end="failed", message=f"{type(error).__name__}: {error}")
        else:
            tell(end="ok")

    def teller(kind):
        return lambda case: one(kind, case)

    for number in count(first, step):
        tell(round=number)
        for kind in kinds:
            how = settings(
                max_examples=ROUND.get(kind, 100), database=None, deadline=None, phases=[Phase.generate],
                derandomize=False, suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            place = seed * 1_000_003 + number * 101 + sorted(KINDS).index(kind)
            seeded(place)(how(given(KINDS[kind][0]())(teller(kind))))()


def run(kinds, minutes, seed, jobs, say):
    """Run cases for some minutes in child processes and return the findings."""
    findings, end, lock = Findings(), time.monotonic() + 60 * minutes, threading.Lock()
    watchers = [
        threading.Thread(target=_watch, args=(kinds, seed, job, jobs, end, findings, lock, say)) for job in range(jobs)
    ]
    for watcher in watchers:
        watcher.start()
    while any(watcher.is_alive() for watcher in watchers):
        watchers[0].join(30)
        for watcher in watchers[1:]:
            watcher.join(0.1)
        with lock:
            say(f"{sum(findings.cases.values())} cases, {len(findings.failures)} failures")
    return findings


def _watch(kinds, seed, job, jobs, end, findings, lock, say):
    """Keep one child at work until the time is over."""
    number = job
    while number is not None and time.monotonic() < end:
        child, events = _start(kinds, seed, number, jobs), Queue()
        reader = threading.Thread(target=_read, args=(child, events))
        reader.start()
        try:
            number = _follow(child, events, number, end, partial(_note, findings, lock, say))
        finally:
            child.kill()
            child.wait()
            reader.join()
            child.stdout.close()
        number = None if number is None else number + jobs  # the next child goes on with the next round


def _follow(child, events, number, end, note):
    """Note what a child tells, to its end; return its last round, None when the child never came to a case."""
    kind, case, seen = "no case", None, 0
    while (left := end - time.monotonic()) > 0:
        try:
            event = events.get(timeout=min(PATIENCE, left))
        except Empty:
            event = {"end": "failed", "message": f"no answer for {PATIENCE} seconds", "over": True}
        if event is None:
            event = {"end": "failed", "message": _ended(child), "over": True}
        if "round" in event:
            number = event["round"]
        elif "begin" in event:
            kind, case, seen = event["begin"], event["case"], seen + 1
        elif time.monotonic() < end:
            note(kind, case, event)
            if "over" in event:
                return number if seen else None
    return number


def _ended(child):
    status = child.wait()
    how = signal.Signals(-status).name if status < 0 else f"status {status}"
    return f"the process ended with {how}"


def _note(findings, lock, say, kind, case, event):
    if event["end"] == "left out":
        return
    with lock:
        findings.cases[kind] += 1
        if event["end"] == "failed":
            findings.failures.append({"kind": kind, "message": event["message"], "case": case})
            if findings.failed(kind) <= 5:
                say(f"FAILED {kind}: {event['message'][:500]}\n    {repeat(kind, case)}")


def repeat(kind, case):
    """Return the command that checks a case again."""
    return f"python -m tests.differential --kind {kind} --case '{json.dumps(case)}'"


def _start(kinds, seed, number, jobs):
    words = ["--worker", str(number), str(jobs), "--seed", str(seed), *(word for k in kinds for word in ("--kind", k))]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.differential", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def _read(child, events):
    for line in child.stdout:
        if line.startswith("{"):
            events.put(json.loads(line))
    events.put(None)
