import pytest

from scratchnet.models import MODELS


def test_the_list(call):
    code, said, err = call("models")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in said.splitlines()] == list(MODELS)
    assert "738,977 parameters" in said
    assert "unpool=nearest" in said


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["bloodcell"], ["(1, 128, 128, 32)", "(1, 8, 8, 160)", "738,977 parameters, "]),
        (["bloodcell", "--unpool", "switches"], ["739,233 parameters, "]),
        (["bloodcell", "--size", "64x32", "--width", "0.5"], ["(1, 64, 32, 16)", "(1, 4, 2, 80)"]),
        (["bloodcell", "--size", "48"], ["(1, 48, 48, 32)"]),
        (["deconvnet-small", "--size", "96", "--classes", "5"], ["(1, 96, 96, 5)", "(1, 1, 1, 256)"]),
        (["deconvnet-small"], ["(1, 64, 64, 2)"]),
        (["squares", "--size", "32×48", "--width", "8"], ["(1, 32, 48, 8)"]),
    ],
    ids=" ".join,
)
def test_a_table(call, words, lines):
    code, said, err = call("models", *words)
    assert (code, err) == (0, "")
    for line in lines:
        assert line in said


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["segnet"], "model 'segnet' does not exist; choose one of: bloodcell, deconvnet-small, squares"),
        (["squares", "--unpool", "nearest"], "model 'squares' has no option 'unpool'; its options are: width"),
        (["bloodcell", "--size", "0"], "--size 0: expected HxW, such as 128x128, or one number"),
        (["bloodcell", "--size", "big"], "--size big: expected HxW"),
        (["bloodcell", "--size", "1x2x3"], "--size 1x2x3: expected HxW"),
        (["bloodcell", "--size", "64x"], "--size 64x: expected HxW"),
        (["bloodcell", "--size", "8"], "model 'bloodcell' cannot take this size: step '"),
        (["deconvnet-small", "--size", "100"], "size is 100; expected a multiple of 16"),
        (["deconvnet-small", "--size", "64x32"], "model 'deconvnet-small' takes square images only"),
        (["bloodcell", "--classes", "1"], "--classes 1: expected 2 to 256"),
        (["bloodcell", "--width", "0"], "model 'bloodcell': width is 0; expected a number from above 0 to 4096"),
        (["bloodcell", "--width", "nan"], "width is nan; expected a number from above 0 to 4096"),
        (["bloodcell", "--width", "inf"], "width is inf; expected a number from above 0 to 4096"),
        (["squares", "--width", "2.5"], "model 'squares': width is 2.5; expected a whole number from above 0 to 4096"),
        (["squares", "--width", "-4"], "width is -4; expected a whole number from above 0 to 4096"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_built(call, words, error):
    code, said, err = call("models", *words)
    assert (code, said) == (2, "")
    assert err.startswith("scratchnet: error: ")
    assert error in err
    assert err.count("\n") == 1
