"""The solutions of lessons 9 to 22 agree with the package."""

import numpy as np
import pytest

from scratchnet.data import Augmentation, Window, augment, bounding_boxes
from scratchnet.data.objects.box_sampling import cut_out, enlarged
from scratchnet.data.objects.curriculum import Example, balanced
from scratchnet.evaluation import confusion_matrix, metrics, reliability
from scratchnet.exercises.lesson_09 import (
    conv_transpose,
    convolution_matrix,
    output_padding_of,
    scatter,
    transposed_size,
)
from scratchnet.exercises.lesson_10 import bilinear_weight, overlap_counts, phase_sums
from scratchnet.exercises.lesson_11 import batch_norm, batch_norm_backward, fold
from scratchnet.exercises.lesson_12 import sgd_momentum
from scratchnet.exercises.lesson_13 import adam, dense_to_kernel, slide_dense, stitch
from scratchnet.exercises.lesson_14 import join, join_backward, pack_switches, unpack_switches
from scratchnet.exercises.lesson_16 import balance, centred_box, labels_alone, plateau_rates, poly_rates
from scratchnet.exercises.lesson_17 import ensemble_mean, ensemble_product
from scratchnet.exercises.lesson_18 import augment_pair
from scratchnet.exercises.lesson_18_worst_images import worst_images
from scratchnet.exercises.lesson_20 import (
    dropout,
    dropout_backward,
    entropy,
    expected_calibration_error,
    mutual_information,
)
from scratchnet.exercises.lesson_21 import convolve_in_tiles
from scratchnet.exercises.lesson_22 import blocks_of, element_of, gather_unpool, pairwise_sum
from scratchnet.inference.uncertainty import RunningMaps
from scratchnet.layers.initialization import bilinear
from scratchnet.network import FlatBuffers
from scratchnet.ops import activation, normalization, switch_packing
from scratchnet.ops.activation import softmax
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.pooling import max_pool2d, max_unpool2d
from scratchnet.ops.shape import concatenate, concatenate_backward, crop2d, crop2d_backward
from scratchnet.ops.switches import Switches
from scratchnet.ops.transposed import conv_transpose2d
from scratchnet.training.optimizers import SGD, Adam
from scratchnet.training.schedules import Schedule
from scratchnet.utils.random_stream import RandomStream

close = np.testing.assert_allclose


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_lesson_9(rng, stride, padding):
    y, weight = rng.standard_normal((2, 4, 3, 2)), rng.standard_normal((5, 6, 3, 2))
    close(conv_transpose(y, weight, stride, padding), conv_transpose2d(y, weight, None, stride, padding))
    x, kernel = rng.standard_normal(11), rng.standard_normal(5)
    row = (x.reshape(1, 1, 11, 1), kernel.reshape(1, 5, 1, 1))
    matrix = convolution_matrix(kernel, 11, stride, padding)
    close(matrix @ x, conv2d(*row, stride=(1, stride), padding=(0, padding)).ravel())
    extra = output_padding_of(11, 5, stride, padding)
    small = rng.standard_normal(len(matrix))
    spread = conv_transpose2d(small.reshape(1, 1, -1, 1), row[1], None, (1, stride), (0, padding), (0, extra)).ravel()
    close(scatter(small, kernel, 11, stride, padding), spread)
    assert transposed_size(len(matrix), 5, stride, padding, extra) == len(spread) == 11


def test_lesson_10(rng):
    ones = np.ones((1, 3, 4, 1)), np.ones((4, 5, 1, 1))
    close(overlap_counts((3, 4), (4, 5), 2, 1), conv_transpose2d(*ones, None, 2, 1)[0, :, :, 0])
    kernel = rng.standard_normal((4, 5))
    flat = conv_transpose2d(np.ones((1, 9, 9, 1)), kernel.reshape(4, 5, 1, 1), None, 3)[0, :, :, 0]
    close(phase_sums(kernel, 3), flat[9:12, 9:12])
    for factor in (2, 3, 4, 5):
        weight = bilinear_weight(2, factor)
        close(weight, bilinear(rng, weight.shape), rtol=1e-6)


def test_lesson_11(rng):
    x, dy = 3 + rng.standard_normal((2, 3, 4, 3)), rng.standard_normal((2, 3, 4, 3))
    gamma, beta = rng.uniform(1, 2, 3), rng.standard_normal(3)
    y, memory = normalization.batch_norm(x, gamma, beta, eps=1e-3)
    close(batch_norm(x, gamma, beta, 1e-3), y)
    package = normalization.batch_norm_backward(dy, memory, gamma)
    for found, expected in zip(batch_norm_backward(dy, x, gamma, beta, 1e-3), package, strict=True):
        close(found, expected, atol=1e-12)
    weight, bias, variance = rng.standard_normal((3, 3, 3, 3)), rng.standard_normal(3), rng.uniform(1, 2, 3)
    statistics = gamma, beta, bias + 1, variance, 1e-3
    two_layers, _ = normalization.batch_norm_fixed(conv2d(dy, weight, bias), *statistics)
    close(conv2d(dy, *fold(weight, bias, *statistics)), two_layers)


def test_lessons_12_and_13_optimizers(rng):
    weights, gradients, rates = rng.standard_normal(4), rng.standard_normal((3, 4)), [0.1, 0.01, 0.5]
    for optimizer, found in (
        (SGD(momentum=0.9), sgd_momentum(weights, gradients, np.array(rates), 0.9)),
        (Adam(), adam(weights, gradients, 0.01)),
    ):
        buffers = FlatBuffers(weights.copy(), np.zeros(4), {"weight": slice(0, 4)})
        for gradient, rate in zip(gradients, rates if isinstance(optimizer, SGD) else [0.01] * 3, strict=True):
            buffers.grads[:] = gradient
            optimizer.step(buffers, rate)
        close(found, buffers.values)


def test_lesson_13_maps(rng):
    x, dense = rng.standard_normal((5, 7, 4)), rng.standard_normal((24, 5))
    close(slide_dense(x, dense, 2, 3), conv2d(x[None], dense_to_kernel(dense, 2, 3))[0])
    kernel = rng.standard_normal((3, 3, 4, 2))
    image = rng.standard_normal((1, 9, 11, 4))
    shifted = [[conv2d(image[:, i : i + 8, j : j + 10], kernel, stride=2)[0] for j in (0, 1)] for i in (0, 1)]
    close(stitch(np.array(shifted)), conv2d(image, kernel)[0, :6, :8])


def test_lesson_14(rng):
    new, old = rng.standard_normal((2, 2, 3, 2)), rng.standard_normal((2, 5, 6, 3))
    y = concatenate(new, crop2d(old, (1, 1), (2, 3)))
    close(join(new, old), y)
    dy = rng.standard_normal(y.shape)
    dnew, dpart = concatenate_backward(dy, [2, 3])
    for found, expected in zip(
        join_backward(dy, new, old), (dnew, crop2d_backward(dpart, (1, 1), (5, 6))), strict=True
    ):
        close(found, expected)
    switches = rng.integers(0, 4, (5, 7))
    packed = switch_packing.pack_switches(
        Switches(switches.astype(np.uint8).reshape(1, 5, 7, 1), (10, 14), (2, 2), (2, 2), (0, 0))
    )
    np.testing.assert_array_equal(pack_switches(switches), packed.packed)
    np.testing.assert_array_equal(unpack_switches(pack_switches(switches), 5, 7), switches)


def test_lesson_16_boxes(rng):
    mask, instances = rng.integers(1, 4, (11, 14)), np.zeros((11, 14), int)
    for number, (top, left, height, width) in enumerate([(0, 2, 4, 7), (3, 5, 6, 6), (8, 0, 3, 5)], start=1):
        instances[top : top + height, left : left + width] = number
    mask[instances == 0] = 0
    mask[4, 6] = 255
    for number, box in bounding_boxes(instances).items():
        window = enlarged(box, 1.7)
        assert centred_box(instances, number, 1.7) == window
        alone = np.where((instances == number) | (mask == 255), mask, 0)
        np.testing.assert_array_equal(labels_alone(mask, instances, number, window), cut_out(alone, window, 255))


def test_lesson_16_balance_and_schedules(rng):
    labels = rng.integers(1, 5, 23)
    examples = [Example(0, number, int(label), Window(0, 0, 1, 1)) for number, label in enumerate(labels)]
    assert balance(labels).tolist() == [example.number for example in balanced(examples)]
    schedule = Schedule("poly", 0.3, power=0.9)
    close(poly_rates(8, 0.3, 0.9), [schedule.at(0, update, 8) for update in range(8)])
    scores, plateau, rates = rng.integers(0, 6, 15) / 5, Schedule("plateau", 0.3, decay=0.1, step_epochs=2), []
    for epoch, score in enumerate(scores):
        rates.append(plateau.at(epoch, 0, 1))
        plateau.note(score > max(scores[:epoch], default=-1))
    close(plateau_rates(scores, 0.3, 2), rates)
    assert len(set(rates)) > 2


def test_lesson_17(rng):
    scores = rng.standard_normal((3, 2, 4, 5, 3))
    probabilities = softmax(scores)
    close(ensemble_mean(scores), probabilities.mean(axis=0))
    product = probabilities.prod(axis=0)
    close(ensemble_product(scores), product / product.sum(axis=-1, keepdims=True))


def test_lesson_18(rng):
    truths, predictions = rng.integers(0, 4, (2, 5, 6, 7))
    truths[0][truths[0] == 3] = predictions[0][predictions[0] == 3] = 0
    truths[1, :2] = 255
    expected = [np.nanmean(metrics(confusion_matrix(*pair, 4)).iou) for pair in zip(truths, predictions, strict=True)]
    order, means = worst_images(truths, predictions, 4, 5)
    np.testing.assert_array_equal(order, np.argsort(expected))
    close(means, np.sort(expected))
    image, mask = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), rng.integers(0, 3, (6, 8), dtype=np.uint8)
    pair = augment_pair(image, mask, 0, 0, (6, 8), flip=True, brightness=1.0)
    flips = Augmentation(flip_horizontal=True)
    assert any(
        all((a == b).all() for a, b in zip(augment(image, mask, rng, flips, lambda _: pair), pair, strict=True))
        for _ in range(20)
    )


@pytest.mark.parametrize("n", [3, 4, 9, 10])
def test_lesson_21(rng, n):
    x, g = rng.standard_normal(n), rng.standard_normal(3)
    close(convolve_in_tiles(x, g), np.correlate(x, g, "valid"), atol=1e-12)


def test_lesson_22(rng):
    shape = (2, 3, 4, 5)
    found = [element_of(b, t, 16, shape) for b, t in np.ndindex(blocks_of(120, 16), 16)]
    assert found == [*np.ndindex(*shape), *[()] * 8]
    pooled, switches = max_pool2d(rng.standard_normal((1, 7, 9, 1)), 3, 2)
    values = rng.standard_normal(pooled.shape)
    unpooled = max_unpool2d(values, switches)[0, :, :, 0]
    close(gather_unpool(values[0, ..., 0], switches.index[0, ..., 0], 3, 2, (7, 9)), unpooled)
    x = rng.standard_normal(1001).astype(np.float32)
    assert abs(pairwise_sum(x) - x.astype(np.float64).sum()) < 1e-4


def test_lesson_20(rng):
    x, dy = rng.standard_normal((2, 2, 3, 4, 2))
    y, mask = activation.dropout(x, 0.3, RandomStream(rng))
    kept = (mask > 0).astype(float)
    close(dropout(x, kept, 0.3), y)
    close(dropout_backward(dy, x, kept, 0.3), activation.dropout_backward(dy, mask))
    passes, running = rng.dirichlet([1, 2, 3], (6, 4, 5)), RunningMaps(4, 5, 3)
    for one in passes:
        running.add(one.astype(np.float32))
    close(mutual_information(passes), running.result().mutual_information, atol=1e-5)
    close(entropy(passes.mean(axis=0)), running.result().entropy, atol=1e-5)
    truth = rng.integers(0, 3, (4, 5))
    confidence, right = passes[0].max(axis=-1).ravel(), (passes[0].argmax(axis=-1) == truth).ravel()
    package = reliability(passes[0], truth, 7).expected_calibration_error()
    close(expected_calibration_error(confidence, right.astype(float), 7), package)
