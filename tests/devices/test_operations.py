"""The search over memory layouts, dtypes and empty batches once more, on device arrays."""

import numpy as np
import pytest

from scratchnet.ops.convolution import conv2d
from tests.compare import numbers
from tests.devices.compare import assert_same, down, up
from tests.ops.operation_cases import CASES, LAYOUTS, copied, leaves, with_leaves
from tests.standin.array import ndarray
from tests.standin.module import cupy as standin

NOT_HERE = ("check labels",)  # labels on a device are not looked at, but waited for


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_HERE])
def test_any_memory_layout_gives_what_a_contiguous_copy_gives(name, xp):
    if xp is not standin:
        pytest.skip("strided arrays come from the stand-in")
    case = CASES[name]
    for path in leaves(case.arguments):
        for layout, lay in LAYOUTS.items():
            on_host, above = copied(case.arguments), up(copied(case.arguments), xp)
            strided = lay(leaves(on_host)[path])
            above = with_leaves(above, {path: ndarray(strided.copy("K") if strided.base is None else strided)})
            right = up(with_leaves(on_host, {path: np.array(strided, order="C")}), xp)
            assert_same(down(case.call(above)), down(case.call(right)), f"{path}, {layout}")


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_HERE])
def test_an_empty_batch_gives_numpys_result(name, xp):
    case = CASES[name]
    statistics = [path for path, a in leaves(case.arguments).items() if path in ("mean", "inverse_std") and a.ndim == 2]
    of_images = {path: a for path, a in leaves(case.arguments).items() if a.ndim > 2 or path in statistics}
    empty = {path: a[:0] for path, a in of_images.items() if path not in ("weight", "dkernel", "out")}
    if not empty or "out" in leaves(case.arguments):
        pytest.skip("no images among the arguments")
    on_host = with_leaves(copied(case.arguments), empty)
    assert_same(down(case.call(up(on_host, xp))), case.call(on_host))


def test_arrays_of_two_devices_are_told_apart(xp):
    x, weight = numbers(1, 4, 4, 2), numbers(3, 3, 2, 2)
    with pytest.raises(TypeError, match=r"conv2d: x is a CuPy array \(GPU\) but weight is a NumPy array \(CPU\)"):
        conv2d(xp.asarray(x), weight)
    with pytest.raises(TypeError, match="conv2d: weight is a list; expected a NumPy or CuPy array"):
        conv2d(xp.asarray(x), weight.tolist())
    with pytest.raises(TypeError, match="conv2d: x is uint8; expected float32 or float64"):
        conv2d(xp.asarray(x).astype(np.uint8), xp.asarray(weight))
