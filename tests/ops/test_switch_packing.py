import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.ops.pooling import max_pool2d, max_unpool2d
from scratchnet.ops.switch_packing import pack_switches, packed_bytes, unpack_switches
from scratchnet.ops.switches import Switches
from tests.compare import distinct


def switches(index, kernel=(2, 2)):
    oh, ow = index.shape[1:3]
    return Switches(index, (oh * kernel[0], ow * kernel[1]), kernel, kernel, (0, 0))


def test_four_switches_in_a_byte_by_hand():
    index = np.array([0, 0, 0, 3, 1, 0, 0, 0, 2], np.uint8).reshape(1, 3, 3, 1)
    packed = pack_switches(switches(index)).packed
    assert packed.dtype == np.uint8
    assert packed.tolist() == [0b11000000, 0b00000001, 0b00000010]


@given(
    st.tuples(*(st.integers(1, 5) for _ in range(4))), st.integers(0, 2**31), st.sampled_from([(2, 2), (1, 3), (4, 1)])
)
def test_packing_loses_nothing(shape, seed, kernel):
    positions = kernel[0] * kernel[1]
    index = np.random.default_rng(seed).integers(0, positions, shape, np.uint8)
    stored = pack_switches(switches(index, kernel))
    assert stored.packed.nbytes == packed_bytes(index.size) == -(-index.size // 4)
    back = unpack_switches(stored)
    np.testing.assert_array_equal(back.index, index)
    assert back.index.dtype == np.uint8
    assert (back.size, back.kernel, back.stride, back.padding) == (
        (shape[1] * kernel[0], shape[2] * kernel[1]),
        kernel,
        kernel,
        (0, 0),
    )


def test_unpacked_switches_unpool_to_odd_sizes():
    x = distinct(2, 45, 7, 3)
    y, kept = max_pool2d(x, 2, ceil_mode=True)
    restored = max_unpool2d(y, unpack_switches(pack_switches(kept)))
    np.testing.assert_array_equal(restored, max_unpool2d(y, kept))
    assert restored.shape == x.shape


def test_switches_in_any_order_of_memory():
    index = np.random.default_rng(0).integers(0, 4, (3, 2, 4, 5), np.uint8).transpose(3, 1, 2, 0)
    np.testing.assert_array_equal(unpack_switches(pack_switches(switches(index))).index, index)


def test_two_bits_do_not_tell_nine_positions_apart():
    _, kept = max_pool2d(distinct(1, 6, 6, 1), 3)
    with pytest.raises(ValueError, match="a window of 3×3 has more than four positions"):
        pack_switches(kept)


def test_the_figure_of_the_segnet_paper():
    """64 maps of 180×240: 11 MB in float32, .17 MB as switches of two bits."""
    index = np.zeros((1, 90, 120, 64), np.uint8)
    assert round(64 * 180 * 240 * 4 / 1e6, 1) == 11.1
    assert round(pack_switches(switches(index)).packed.nbytes / 1e6, 2) == 0.17
