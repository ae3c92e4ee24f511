"""Numerical gradient checks: the checker as a public tool, and the list of everything in scratchnet that it checks.

>>> import numpy as np
>>> from scratchnet.layers import ReLU
>>> report = check_gradients("ReLU", from_layer(ReLU(), np.array([[[[-1.0, 2.0]]]])))
>>> report.ok
True
"""

from scratchnet.gradcheck.cases import Case, all_cases
from scratchnet.gradcheck.checker import check_gradients, relative_error
from scratchnet.gradcheck.problems import from_functions, from_layer, from_loss, from_network
from scratchnet.gradcheck.report import Finding, Problem, Report

__all__ = [
    "Case",
    "Finding",
    "Problem",
    "Report",
    "all_cases",
    "check_gradients",
    "from_functions",
    "from_layer",
    "from_loss",
    "from_network",
    "relative_error",
]
