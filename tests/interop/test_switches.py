import numpy as np
import pytest

from scratchnet.interop.switches import from_onnx, from_torch, to_onnx, to_torch
from scratchnet.ops.pooling import max_pool2d, max_unpool2d
from tests.compare import distinct, numbers

POOLINGS = [
    (2, 2, 0, False),
    (2, 2, 0, True),
    (3, 2, 1, False),
    (3, 2, 1, True),
    ((2, 3), (3, 1), (1, 0), True),
    (17, 3, 4, True),
]


def pooled(settings, size=(13, 15)):
    return max_pool2d(distinct(2, *size, 3), *settings)


def assert_same(found, switches):
    np.testing.assert_array_equal(found.index, switches.index)
    assert found.index.dtype == switches.index.dtype
    assert (found.size, found.kernel, found.stride, found.padding) == (
        switches.size,
        switches.kernel,
        switches.stride,
        switches.padding,
    )


@pytest.mark.parametrize("settings", POOLINGS)
def test_there_and_back(settings):
    _, switches = pooled(settings)
    assert_same(from_torch(to_torch(switches), (13, 15), *settings[:3]), switches)
    assert_same(from_onnx(to_onnx(switches), (13, 15), *settings[:3]), switches)


@pytest.mark.parametrize("settings", POOLINGS)
def test_indices_count_in_the_plane_or_in_the_whole_array(settings):
    x = distinct(2, 13, 15, 3)
    y, switches = max_pool2d(x, *settings)
    first, winners = x.transpose(0, 3, 1, 2), y.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(np.take(first, to_onnx(switches)), winners)
    planes = first.reshape(2, 3, -1)
    np.testing.assert_array_equal(
        np.take_along_axis(planes, to_torch(switches).reshape(2, 3, -1), axis=2).reshape(winners.shape), winners
    )
    assert to_torch(switches).dtype == to_onnx(switches).dtype == np.int64


@pytest.mark.parametrize("settings", [s for s in POOLINGS if s[0] != 17])
def test_pytorch_s_own_indices(settings):
    torch = pytest.importorskip("torch")
    x = distinct(2, 13, 15, 3)
    _, indices = torch.nn.functional.max_pool2d(
        torch.tensor(x.transpose(0, 3, 1, 2)), *settings[:3], ceil_mode=settings[3], return_indices=True
    )
    _, switches = max_pool2d(x, *settings)
    np.testing.assert_array_equal(to_torch(switches), indices.numpy())
    assert_same(from_torch(indices.numpy(), (13, 15), *settings[:3]), switches)


def test_pytorch_unpools_with_our_switches_and_we_with_its(dtype):
    torch = pytest.importorskip("torch")
    y, switches = pooled((2, 2, 0, True), (9, 7))
    x = numbers(*y.shape, dtype=dtype)
    first = torch.tensor(x.transpose(0, 3, 1, 2))
    theirs = torch.nn.functional.max_unpool2d(first, torch.tensor(to_torch(switches)), 2, output_size=(9, 7))
    mine = max_unpool2d(x, from_torch(to_torch(switches), (9, 7), 2))
    np.testing.assert_array_equal(mine, theirs.numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [((13, 14), 2, 2, 0), ((13, 15), 2, 2, 1), ((13, 15), 2, 1, 0), ((13, 15), (1, 2), 2, 0), ((12, 15), 2, 2, 0)],
)
def test_indices_of_another_pooling_are_refused(size, kernel, stride, padding):
    _, switches = pooled((2, 2, 0, True))
    with pytest.raises(ValueError, match="point outside their windows"):
        from_torch(to_torch(switches), size, kernel, stride, padding)


def test_one_index_of_another_plane_is_refused():
    _, switches = pooled((2, 2, 0, False))
    indices = to_onnx(switches)
    indices[1, 2, 0, 0] -= 13 * 15
    with pytest.raises(ValueError, match="point outside their windows"):
        from_onnx(indices, (13, 15), 2)
