import pytest

from scratchnet.utils.spreadsheet import harmless


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a"])
def test_a_formula_becomes_text(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "ada", "a=1", "'x"])
def test_text_stays(text):
    assert harmless(text) == text
