import tracemalloc

import numpy as np
import pytest

from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.models import build
from scratchnet.network import Network
from scratchnet.network.summary import summarize
from tests.compare import numbers


def small_net():
    net = Network(3)
    net.add("conv", Conv2d(3, 8, 3, padding=1))
    net.add("bn", BatchNorm2d(8))
    net.add("relu", ReLU())
    net.add("pool", MaxPool2d(2))
    net.add("deconv", ConvTranspose2d(8, 8, 3, padding=1))
    net.add("unpool", MaxUnpool2d(), "deconv", "pool.switches")
    net.add("score", Conv2d(8, 2, 1, bias=False))
    return net


def test_every_row_by_hand():
    summary = summarize(small_net(), (6, 10), n=2)
    large, small = 2 * 6 * 10, 2 * 3 * 5
    rows = {row.name: row for row in summary.rows}
    assert {name: row.parameters for name, row in rows.items()} == {
        "conv": 3 * 3 * 3 * 8 + 8,
        "bn": 16,
        "relu": 0,
        "pool": 0,
        "deconv": 3 * 3 * 8 * 8 + 8,
        "unpool": 0,
        "score": 16,
    }
    assert {name: row.products for name, row in rows.items() if row.products} == {
        "conv": large * 27 * 8,
        "deconv": small * 72 * 8,
        "score": large * 16,
    }
    assert rows["pool"].shape == (2, 3, 5, 8)
    assert rows["unpool"].shape == (2, 6, 10, 8)
    assert rows["conv"].activation_bytes == 4 * large * 8
    assert rows["bn"].activation_bytes == rows["relu"].activation_bytes == 0  # pooling's output is enough
    assert {name: row.switch_bytes for name, row in rows.items() if row.switch_bytes} == {"pool": small * 8}
    assert rows["conv"].layer == "conv 3×3, 8"
    assert summary.input_shape == (2, 6, 10, 3)


def test_sums():
    net = small_net()
    summary = summarize(net, (6, 10))
    assert summary.parameters == net.parameter_count() == 224 + 16 + 584 + 16
    assert summary.flops == 2 * (60 * 216 + 15 * 576 + 60 * 16)
    assert summary.activation_bytes == 4 * (
        60 * 8 * 2 + 15 * 8 * 2 + 60 * 2
    )  # of batch norm and its ReLU nothing is kept
    assert summary.switch_bytes == 15 * 8


def arrays_in(kept):
    """Yield the arrays among what layers keep."""
    if isinstance(kept, np.ndarray):
        yield kept
    elif isinstance(kept, tuple | list):
        for one in kept:
            yield from arrays_in(one)
    elif hasattr(kept, "__dict__"):
        yield from arrays_in(tuple(vars(kept).values()))


@pytest.mark.parametrize(
    ("model", "options"),
    [("bloodcell", {}), ("bloodcell", {"batch_norm": True}), ("deconvnet-small", {}), ("fcn8s", {"width": 0.125})],
)
def test_activations_are_what_a_training_step_keeps(model, options):
    net = build(model, 2, 3, **options).allocate().train()
    x = numbers(2, 64, 64, 3, dtype=np.float32)
    y = net.forward(x)
    kept = [y, x, *(array for step in net.steps for array in arrays_in(step.layer.saved))]
    places = {array.__array_interface__["data"][0]: array.nbytes for array in kept}  # many are kept by two layers
    summary = summarize(net, (64, 64), n=2)
    counted = summary.activation_bytes + summary.switch_bytes + x.nbytes
    assert sum(places.values()) == pytest.approx(counted, rel=0.05)


def test_the_table_holds_every_step_and_the_sums():
    text = summarize(small_net(), (6, 10)).text()
    lines = text.splitlines()
    assert lines[0].split()[:2] == ["step", "layer"]
    assert lines[2].startswith("input")
    assert [line.split()[0] for line in lines[3:10]] == ["conv", "bn", "relu", "pool", "deconv", "unpool", "score"]
    assert "(1, 3, 5, 8)" in lines[6]
    assert "840 parameters, 0.000 GFLOP forward" in lines[-1]
    assert "0.00 MB of switches (one byte a window)" in lines[-1]


def test_summarising_a_huge_network_allocates_almost_nothing():
    net = Network(3)
    net.add("conv", Conv2d(3, 50_000, 7, padding=3))
    net.add("pool", MaxPool2d(2))
    net.add("fc", Conv2d(50_000, 50_000, 7))
    tracemalloc.start()
    try:
        summary = summarize(net, (512, 512), n=1000)
        summary.text()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert summary.parameters > 1e11
    assert summary.activation_bytes > 1e13
    assert peak < 1e5


def test_a_size_that_does_not_fit_names_the_step():
    net = Network(3)
    net.add("fc6", Conv2d(3, 4, 7))
    with pytest.raises(ValueError, match="step 'fc6': a window of 7 does not fit into a map of 5"):
        summarize(net, (5, 8))
