import pytest

from scratchnet.models import MODELS


def test_the_list(call):
    code, said, err = call("models")
    assert (code, err) == (0, "")
    models = said.split("\n\n")[0]
    assert [line.split()[0] for line in models.splitlines()] == list(MODELS)
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
        (["deconvnet", "--classes", "21"], ["251,805,653 parameters, 65.492 GFLOP", "24.49  12.24   1.53    0.38"]),
        (["deconvnet", "--size", "96", "--width", "0.1"], ["(1, 96, 96, 2)", "conv 3×3, 410"]),
        (["segnet-basic", "--size", "180x240", "--measure"], ["11.06   5.53   0.69    0.17", "(measured: "]),
        (["fcn8s", "--padding", "same", "--upsampling", "learned", "--at-once"], ["scale 0.01", "crop at 4"]),
        (["fcn32s", "--size", "3x500"], ["crop at 19", "(1, 3, 500, 2)"]),
        (
            ["deconvnet", "--size", "224", "--classes", "21", "--batch", "64"],
            [
                "(64, 224, 224, 64)",
                "on 64 images: 9,650.3 MB of values",
                "4,620.5 MB with activation checkpointing (5 segments)",
            ],
        ),
        (
            ["deconvnet-small", "--size", "128", "--batch", "8"],
            ["8 images: 121.8 MB of values", "47.1 MB with activation"],
        ),
        (
            ["segnet", "--size", "360x480", "--classes", "11"],
            ["on 1 image: 460.7 MB of values", "221.3 MB with activation"],
        ),
        (["unet-same", "--size", "512"], ["1,205.3 MB of values", "654.3 MB with activation checkpointing"]),
        (["unet"], ["(1, 388, 388, 2)"]),
        (["unet-same", "--depth", "2", "--batch-norm", "--no-dropout"], ["conv3_2_bn"]),
        (["sliding-window", "--form", "window"], ["(1, 61, 61, 3)", "(1, 1, 1, 2)"]),
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
        (["--draw", "a.png"], "--draw: is for one model; name it, as in `scratchnet models bloodcell --draw …`"),
        (["--size", "64"], "--size: is for one model"),
        (["--measure", "--classes", "3"], "--measure: is for one model"),
        (
            ["segnett"],
            "model 'segnett' does not exist; did you mean segnet?; choose one of: bloodcell",
        ),
        (["segnet", "--form", "window"], "model 'segnet' has no option 'form'; its options are: width"),
        (["unet", "--size", "100", "--depth", "3", "--unpool", "nearest"], "model 'unet' has no option 'unpool'"),
        (["unet", "--size", "40"], "model 'unet' cannot take this size: step 'conv4_1'"),
        (["deconvnet", "--size", "200"], "model 'deconvnet': size is 200; expected a multiple of 32"),
        (["squares", "--unpool", "nearest"], "model 'squares' has no option 'unpool'; its options are: width"),
        (["bloodcell", "--size", "0"], "--size 0: expected HxW, such as 128x128, or one number"),
        (["bloodcell", "--size", "big"], "--size big: expected HxW"),
        (["bloodcell", "--size", "1x2x3"], "--size 1x2x3: expected HxW"),
        (["bloodcell", "--size", "64x"], "--size 64x: expected HxW"),
        (["bloodcell", "--size", "8"], "model 'bloodcell' cannot take this size: step '"),
        (["deconvnet-small", "--size", "100"], "size is 100; expected a multiple of 16"),
        (["deconvnet-small", "--size", "64x32"], "model 'deconvnet-small' takes square images only"),
        (["bloodcell", "--batch", "0"], "--batch 0: expected 1 to 1000000"),
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


def test_a_drawing(call, tmp_path):
    path = tmp_path / "new" / "deconvnet.svg"
    code, said, err = call("models", "deconvnet", "--draw", str(path))
    assert (code, err) == (0, "")
    assert f"wrote {path}" in said
    assert path.read_bytes().startswith(b"<?xml")
    code, _, err = call("models", "deconvnet", "--draw", str(tmp_path / "deconvnet.txt"))
    assert code != 0
    assert "end the name in .png, .svg, .pdf" in err
