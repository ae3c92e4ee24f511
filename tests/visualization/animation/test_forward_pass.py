"""Animation of a forward pass: the content of each frame."""

import numpy as np
import pytest

from scratchnet.models import deconvnet_small, unet_same
from scratchnet.ops.pooling import max_pool2d
from scratchnet.visualization import colorize_switches, forward_pass_frames
from scratchnet.visualization.animation import forward_pass

rng = np.random.default_rng(3)
IMAGE = rng.integers(0, 256, (32, 32, 3), np.uint8)
MASK = np.zeros((32, 32), np.uint8)
MASK[8:20, 10:30] = 1


@pytest.fixture(scope="module")
def frames():
    """Arguments of each frame: (node, map, switches, mask)."""
    net = deconvnet_small(size=32, width=4).allocate(seed=2).eval()
    x = (IMAGE[None] / 128 - 1).astype(np.float32)
    calls = []
    draw = forward_pass._frame

    def watched(network, nodes, edges, current, image, activation, stored, mask):
        calls.append((nodes[current].name if current < len(nodes) else "end", activation, dict(stored), mask))
        return draw(network, nodes, edges, current, image, activation, stored, mask)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forward_pass, "_frame", watched)
        pictures = forward_pass_frames(net, IMAGE, x, MASK)
    assert len(pictures) == len(calls)
    return calls


def test_down_and_up_again(frames):
    down = [name for i in range(1, 5) for name in (f"conv{i}_2", f"pool{i}")]
    up = [name for i in range(4, 0, -1) for name in (f"unpool{i}", f"deconv{i}_2")]
    assert [name for name, *_ in frames] == ["input", *down, "fc7", "fc6-deconv", *up, "score", "end"]
    assert [mask is not None for *_, mask in frames] == [False] * (len(frames) - 1) + [True]


def test_values_return_to_the_stored_positions(frames):
    activation = {name: values for name, values, *_ in frames}
    _, _, stored, _ = frames[-1]
    assert list(stored) == ["pool1", "pool2", "pool3", "pool4"]
    for i in range(1, 5):
        pooled, switches = max_pool2d(activation[f"conv{i}_2"][None, :, :, None], 2)
        np.testing.assert_array_equal(activation[f"pool{i}"], pooled[0, :, :, 0])
        np.testing.assert_array_equal(stored[f"pool{i}"], colorize_switches(switches.index[0, :, :, 0], 2))
        before = activation["fc6-deconv" if i == 4 else f"deconv{i + 1}_2"]
        wanted = np.zeros_like(activation[f"unpool{i}"])
        for (row, column), place in np.ndenumerate(switches.index[0, :, :, 0]):
            wanted[2 * row + place // 2, 2 * column + place % 2] = before[row, column]
        np.testing.assert_array_equal(activation[f"unpool{i}"], wanted)


def test_switches_appear_with_their_pools(frames):
    assert [len(stored) for _, _, stored, _ in frames[:9]] == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_a_vector_is_shown_whole(frames):
    (vector,) = [values for name, values, *_ in frames if name == "fc7"]
    assert vector.shape == (8, 8)  # 64 numbers


def test_a_network_without_switches_is_refused():
    net = unet_same(width=0.05, depth=1)
    with pytest.raises(ValueError, match="no switches"):
        forward_pass_frames(net, IMAGE, IMAGE[None].astype(np.float32), MASK)
