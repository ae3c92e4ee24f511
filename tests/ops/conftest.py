"""Fixtures of the tests of operations."""

import pytest

from scratchnet import textbook


@pytest.fixture(params=["fast", "plain"])
def form(request):
    """Run the fast form of every operation, and its plain form."""
    with textbook(request.param == "plain"):
        yield request.param
