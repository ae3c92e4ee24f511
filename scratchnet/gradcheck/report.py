"""Problems for the gradient checker, and the reports of its findings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isnan, nan

from scratchnet.arrays import Array

Decisions = list[Array]
"""Integer or boolean arrays: the branches taken by functions with kinks."""


@dataclass
class Problem:
    """A forward and a backward pass to check.

    Attributes
    ----------
    inputs : dict of str to Array
        The float64 arrays whose gradients are checked. They are perturbed in place and restored.
    forward : () -> (output, decisions)
        Computes the output from the arrays in ``inputs``.
    backward : (upstream) -> dict of str to Array
        Returns gradients by name for the last forward pass. ``upstream`` has the output's shape.
    contract : (upstream, tolerance) -> list of str, or None
        Checks further requirements besides correct gradients; returns a sentence for each fault.
    """

    inputs: dict[str, Array]
    forward: Callable[[], tuple[Array, Decisions]]
    backward: Callable[[Array], dict[str, Array]]
    contract: Callable[[Array, float], list[str]] | None = None


@dataclass
class Finding:
    """The worst disagreement found in one array, or a fault, with an infinite error and a sentence in ``where``.

    If no element of an array could be compared, the error is NaN and ``where`` states this.
    """

    where: str
    error: float
    analytic: float
    numeric: float
    checked: int
    skipped: int

    def __str__(self) -> str:
        if not self.checked:
            return self.where
        return f"{self.where}: analytic {self.analytic:.6g}, numeric {self.numeric:.6g}, error {self.error:.1e}"


@dataclass
class Report:
    """The findings of a check; ``print(report)`` summarises them in a line.

    Attributes
    ----------
    name : str
    tolerance : float
        Largest relative error that passes.
    findings : list of Finding
        One for each array, and one for each fault.
    """

    name: str
    tolerance: float
    findings: list[Finding] = field(default_factory=list)

    @property
    def worst(self) -> Finding:
        """The reason for failing: a fault or NaN, else the largest error too high, else an array with nothing compared.

        If the report is ok, this is the finding with the largest error.
        """
        nothing = Finding("nothing was checked: there is no array", nan, nan, nan, 0, 0)
        return max(self.findings, key=self._rank, default=nothing)

    @property
    def failures(self) -> list[Finding]:
        """All findings that do not pass."""
        return [f for f in self.findings if not self._passes(f)] if self.findings else [self.worst]

    @property
    def checked(self) -> int:
        """Number of differences compared."""
        return sum(f.checked for f in self.findings)

    @property
    def skipped(self) -> int:
        """Number of differences skipped because they cross a kink."""
        return sum(f.skipped for f in self.findings)

    @property
    def ok(self) -> bool:
        """Whether every array was compared at least once, every error is below the tolerance, and there is no fault."""
        return bool(self.findings) and all(map(self._passes, self.findings))

    def __str__(self) -> str:
        if self.ok:
            return f"ok   {self.name}: {self.checked} differences compared, largest error {self.worst.error:.1e}"
        return f"BAD  {self.name}: " + "; ".join(map(str, self.failures))

    def _passes(self, finding: Finding) -> bool:
        return finding.checked > 0 and finding.error < self.tolerance

    def _rank(self, finding: Finding) -> tuple[int, float]:
        if self._passes(finding):
            return 0, finding.error
        if not finding.checked and isnan(finding.error):
            return 1, 0.0
        return 2, inf if isnan(finding.error) else finding.error
