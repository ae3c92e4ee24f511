"""Calls with an array of a dtype that is not computed in: a TypeError that names the dtype and the argument."""

import numpy as np
from hypothesis import strategies as st

from scratchnet.losses import PixelLoss
from scratchnet.ops import activation, local_response_norm, normalization, pooling, resampling, shape
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests.differential.arrays import LAYOUTS, laid_out

DTYPES = ("bool", "uint8", "int32", "int64", "float16", "complex64", "longdouble", "object")
MAP, SMALL, KERNEL, CHANNEL = (2, 4, 4, 3), (2, 2, 2, 3), (3, 3, 3, 3), (3,)


def _switches():
    return pooling.max_pool2d(np.ones(MAP, np.float32), 2)[1]


def _loss(logits):
    return PixelLoss(3)(logits, np.zeros(MAP[:3], np.int64))


CALLS = {
    "conv2d": (lambda x, w, b: conv2d(x, w, b, padding=1), (MAP, KERNEL, CHANNEL)),
    "conv2d_backward": (lambda dy, x, w: conv2d_backward(dy, x, w, padding=1), (MAP, MAP, KERNEL)),
    "conv_transpose2d": (lambda x, w, b: conv_transpose2d(x, w, b, padding=1), (MAP, KERNEL, CHANNEL)),
    "conv_transpose2d_backward": (
        lambda dy, x, w: conv_transpose2d_backward(dy, x, w, padding=1),
        (MAP, MAP, KERNEL),
    ),
    "max_pool2d": (lambda x: pooling.max_pool2d(x, 2), (MAP,)),
    "max_pool2d_backward": (lambda dy: pooling.max_pool2d_backward(dy, _switches()), (SMALL,)),
    "max_unpool2d": (lambda x: pooling.max_unpool2d(x, _switches()), (SMALL,)),
    "max_unpool2d_backward": (lambda dy: pooling.max_unpool2d_backward(dy, _switches()), (MAP,)),
    "batch_norm": (normalization.batch_norm, (MAP, CHANNEL, CHANNEL)),
    "batch_norm_fixed": (normalization.batch_norm_fixed, (MAP, CHANNEL, CHANNEL, CHANNEL, CHANNEL)),
    "local_response_norm": (local_response_norm.local_response_norm, (MAP,)),
    "local_response_norm_backward": (local_response_norm.local_response_norm_backward, (MAP, MAP, MAP)),
    "relu": (activation.relu, (MAP,)),
    "relu_backward": (activation.relu_backward, (MAP, MAP)),
    "sigmoid": (activation.sigmoid, (MAP,)),
    "softmax": (activation.softmax, (MAP,)),
    "upsample_nearest": (lambda x: resampling.upsample_nearest(x, 2), (MAP,)),
    "upsample_nearest_backward": (lambda dy: resampling.upsample_nearest_backward(dy, 2), (MAP,)),
    "bed_of_nails": (lambda x: resampling.bed_of_nails(x, 2), (MAP,)),
    "bed_of_nails_backward": (lambda dy: resampling.bed_of_nails_backward(dy, 2), (MAP,)),
    "upsample_bilinear": (lambda x: resampling.upsample_bilinear(x, (7, 5)), (MAP,)),
    "upsample_bilinear_backward": (lambda dy: resampling.upsample_bilinear_backward(dy, (2, 3)), (MAP,)),
    "bilinear_transpose": (lambda x: resampling.bilinear_transpose(x, 2), (MAP,)),
    "bilinear_transpose_backward": (lambda dy: resampling.bilinear_transpose_backward(dy, 2), (MAP,)),
    "crop2d": (lambda x: shape.crop2d(x, 1, (2, 2)), (MAP,)),
    "crop2d_backward": (lambda dy: shape.crop2d_backward(dy, 1, (6, 6)), (MAP,)),
    "pad2d": (lambda x: shape.pad2d(x, 1), (MAP,)),
    "pad2d_backward": (lambda dy: shape.pad2d_backward(dy, 1), (MAP,)),
    "concatenate": (shape.concatenate, (MAP, MAP)),
    "concatenate_backward": (lambda dy: shape.concatenate_backward(dy, [1, 2]), (MAP,)),
    "add": (shape.add, (MAP, MAP, MAP)),
    "PixelLoss": (_loss, (MAP,)),
}
"""name → (function of arrays, their shapes)"""


@st.composite
def refusal_cases(draw):
    """Draw an operation, one of its arrays, and the dtype that this one or all of them have."""
    name = draw(st.sampled_from(sorted(CALLS)))
    count = len(CALLS[name][1])
    return {
        "call": name, "wrong": draw(st.integers(0, count - 1)), "all": draw(st.booleans()),
        "others": draw(st.sampled_from(["float32", "float64"])), "layout": draw(st.sampled_from(LAYOUTS)),
        "dtype": draw(st.sampled_from(DTYPES)), "other float": count > 1 and draw(st.booleans()),
    }  # fmt: skip


def check_refusal(case):
    """Assert that the call is refused in words that name the dtype, and works without the wrong array."""
    function, shapes = CALLS[case["call"]]
    right = [laid_out(np.ones(shape, case["others"]), case["layout"]) for shape in shapes]
    function(*right)
    dtype, every = case["dtype"], case["all"]
    if case["other float"]:  # float32 among float64, or the other way round
        dtype, every = {"float32": "float64", "float64": "float32"}[case["others"]], False
    layout = case["layout"] if np.dtype(dtype).kind == "f" else "plain"
    wrong = [
        laid_out(np.ones(shape, dtype if every or i == case["wrong"] else case["others"]), layout)
        for i, shape in enumerate(shapes)
    ]
    message = _refused(function, wrong)
    assert message is not None, f"{case['call']} took {dtype}"
    assert str(np.dtype(dtype)) in message or "swapped" in layout, f"the message does not name {dtype}: {message}"


def _refused(function, arrays):
    """Return the message of the TypeError, None when there is none."""
    try:
        function(*arrays)
    except TypeError as error:
        return str(error)
    return None
