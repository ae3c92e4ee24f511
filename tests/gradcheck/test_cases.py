import pytest

from scratchnet.gradcheck import all_cases

CASES = {case.name: case for case in all_cases()}


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_differences(name):
    report = CASES[name].run()
    assert report.ok, report.worst
    assert report.checked > 20
    assert report.skipped <= report.checked / 20


def test_names_are_unique():
    assert len(CASES) == len(all_cases())


def test_the_bars_are_those_that_are_promised():
    assert {c.tolerance for c in CASES.values() if c.name.startswith("model/")} == {1e-5}
    assert {c.tolerance for c in CASES.values() if not c.name.startswith("model/")} == {1e-6}
