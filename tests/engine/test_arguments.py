"""What every operation does with arrays of any layout, dtype and shape: a search over the table of all operations."""

import inspect
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest

from scratchnet import ops, textbook
from scratchnet.engine.argument import Argument
from scratchnet.engine.cpu import few_filters, im2col, winograd
from scratchnet.engine.dispatch import OPERATIONS
from scratchnet.engine.memory.pool import allocate_from
from scratchnet.engine.modes import precise
from scratchnet.losses import PixelLoss
from scratchnet.ops import resampling, shape
from scratchnet.ops.activation import relu
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.geometry import ConvSpec, pair
from tests import naive
from tests.compare import assert_close, numbers
from tests.ops.operation_cases import CASES, HOST_LAYOUTS, LAYOUTS, copied, leaves, with_leaves

ALL_LAYOUTS = LAYOUTS | HOST_LAYOUTS
SELF_OVERLAPPING = ("read-only", "broadcast images", "broadcast channels")

EXEMPT = {
    ("updates.add_to", "term"),  # from layers of one's own; the gradient checker judges it
    ("updates.copy_to", "term"),
    ("pixel_factors.pixel_factors", "class_weights"),  # lists, too, of any real numbers
    ("pixel_factors.pixel_factors", "pixel_weights"),
}
NOT_OPERATIONS = {"losses.add_parts"}


def flat(value):
    """Return the arrays and numbers in a result, in order."""
    if isinstance(value, tuple | list):
        return [array for part in value for array in flat(part)]
    if hasattr(value, "__dataclass_fields__"):
        return [array for name in value.__dataclass_fields__ for array in flat(getattr(value, name))]
    return [] if value is None else [np.asarray(value)]


def outcome(case, arguments):
    """Return what a call gives, and its arguments after it."""
    result = case.call(arguments)
    return flat(result) + [array for path, array in leaves(arguments).items() if is_written(case, path)]


def expectation(case, path):
    """Return what the operation states about an argument."""
    function = getattr(case.function, "__wrapped__", case.function)
    function = case.function if case.function.__module__.startswith("scratchnet") else function
    expected = OPERATIONS[f"{function.__module__}.{function.__name__}"].expected
    name, _, part = path.partition(".")
    argument = expected.get(name, Argument("...", "any"))
    return argument.fields[part] if argument.fields else argument


def is_written(case, path):
    return expectation(case, path).role == "written"


# The table is complete -------------------------------------------------------------------------------------------


def test_every_array_argument_of_an_operation_is_declared():
    for name, arguments in OPERATIONS.items():
        module, _, function = name.rpartition(".")
        parameters = inspect.signature(getattr(import_module(module), function)).parameters
        arrays = {k for k, p in parameters.items() if _holds_arrays(p.annotation)}
        undeclared = {(name.removeprefix("scratchnet.ops."), k) for k in arrays - set(arguments.expected)}
        assert undeclared <= EXEMPT | {
            ("synchronized.shared_batch_norm_backward", "count"),
        }


def _holds_arrays(annotation):
    text = str(annotation)
    return ("ndarray" in text or any(s in text for s in ("Switches", "Normalized"))) and "Callable" not in text


FORMS = "convolution_checks geometry"


def test_every_public_function_on_arrays_is_an_operation():
    """But for the forms of a convolution, which only operations call, and helpers named here."""
    helpers = {
        "convolution.by_group", "convolution.col2im", "convolution.im2col", "pooling.window_values",
        "resampling.interpolation_matrix", "switches.check_switches",
        "normalization.moments", "synchronized.whole_statistics",
        "overlap.logits_gradient", "overlap.predictions_and_truth", "overlap.sums_over_processes",
    }  # fmt: skip
    found = set()
    for info in iter_modules(ops.__path__):
        if info.ispkg or info.name in FORMS.split():
            continue
        module = import_module(f"scratchnet.ops.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__ or name.startswith("_"):
                continue
            if any(_holds_arrays(p.annotation) for p in inspect.signature(function).parameters.values()):
                found.add(f"{info.name}.{name}")
    assert found - {name.removeprefix("scratchnet.ops.") for name in OPERATIONS} == helpers


# Layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_any_memory_layout_gives_what_a_contiguous_copy_gives(name):
    case = CASES[name]
    for path in leaves(case.arguments):
        for layout, lay in ALL_LAYOUTS.items():
            arguments = copied(case.arguments)
            strided = lay(leaves(arguments)[path])
            arguments = with_leaves(arguments, {path: strided})
            if is_written(case, path) and layout in SELF_OVERLAPPING:
                with pytest.raises(ValueError, match="is read-only"):
                    case.call(arguments)
                continue
            expected = outcome(
                case, with_leaves(copied(arguments), {path: strided.astype(strided.dtype.newbyteorder("="))})
            )
            for mine, right in zip(outcome(case, arguments), expected, strict=True):
                np.testing.assert_array_equal(mine, right, err_msg=f"{path}, {layout}")


@pytest.mark.parametrize("mode", [precise, textbook])
@pytest.mark.parametrize("layout", ALL_LAYOUTS)
def test_channel_slices_of_images_in_every_mode(layout, mode):
    x, weight = numbers(1, 9, 8, 3, dtype=np.float32), numbers(5, 5, 3, 4, dtype=np.float32)
    strided = ALL_LAYOUTS[layout](x)
    with mode():
        y = conv2d(strided, weight, padding=2)
    assert_close(y, naive.conv2d(np.ascontiguousarray(strided), weight, padding=2), np.float32)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_forms_of_a_convolution_take_strided_maps_too(layout):
    conv = ConvSpec((3, 3), (1, 1), (1, 1), (1, 1), 1)
    x, dy, weight = numbers(2, 9, 8, 4), numbers(2, 9, 8, 5, seed=1), numbers(3, 3, 4, 5)
    sx, sdy, sw = map(LAYOUTS[layout], (x, dy, weight))
    expected, dweight = naive.conv2d(x, weight, padding=1), naive.conv2d_backward(dy, x, weight, padding=1)[1]
    for y in (
        im2col.convolve(sx, sw, conv, (9, 8)),
        few_filters.convolve(sx, sw, conv, (9, 8)),
        winograd.convolve(sx, sw, None, (1, 1), 2),
        winograd.convolve(sx, sw, None, (1, 1), 4),
    ):
        assert_close(y, expected, scale=100)
    for found in (
        im2col.weight_gradient(sdy, sx, weight, conv),
        few_filters.weight_gradient(sdy, sx, weight, conv),
        winograd.weight_gradient(sdy, sx, (1, 1), 2),
    ):
        assert_close(found, dweight, scale=100)
    large = LAYOUTS[layout](numbers(7, 7, 4, 5, seed=2))  # in four pieces
    assert_close(winograd.convolve(sx, large, None, (3, 3), 4), naive.conv2d(x, large, padding=3), scale=100)


def test_strided_arrays_never_read_memory_that_is_not_theirs():
    run = subprocess.run([sys.executable, "-m", "tests.ops.guarded"], check=False, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert int(run.stdout) > 1000


def test_the_guard_catches_a_read_beyond_the_end():
    run = subprocess.run([sys.executable, "-m", "tests.ops.guarded", "beyond"], check=False, capture_output=True)
    assert run.returncode < 0


def test_arrays_that_overlap_with_the_one_written_to():
    memory = numbers(2, 4, 4, 3)
    x, out = memory[:1], memory.reshape(-1)[24 : 24 + 48].reshape(1, 4, 4, 3)
    expected = np.maximum(x, 0)
    assert relu(x, out) is out
    np.testing.assert_array_equal(out, expected)


# Dtypes -----------------------------------------------------------------------------------------------------------

NO_FLOATS = [bool, np.uint8, np.int64, np.float16, np.complex128, object]
NO_FLOATS += [np.longdouble] if np.dtype(np.longdouble) != np.float64 else []
NO_INTEGERS = [np.float32, np.float64, np.complex64, object]


@pytest.mark.parametrize("name", CASES)
def test_other_dtypes_are_refused(name):
    case = CASES[name]
    found = leaves(case.arguments)
    floats = [path for path in found if expectation(case, path).kind == "float"]
    for path, array in found.items():
        kind = expectation(case, path).kind
        wrong = [] if kind == "any" else list(NO_FLOATS if kind == "float" else NO_INTEGERS)
        if kind == "float" and len(floats) > 1:
            wrong.append(np.float32)
        for dtype in wrong:
            refused(case, path, array.astype(dtype), "float32|float64|integers|all must have one dtype")
        if kind != "any" and "." not in path:
            refused(case, path, array.tolist(), "a list; expected a NumPy or CuPy array")


def refused(case, path, value, text):
    function = getattr(case.function, "__wrapped__", case.function)
    with pytest.raises(TypeError, match=text) as error:
        case.call(with_leaves(copied(case.arguments), {path: value}))
    assert str(error.value).startswith(f"{function.__name__}: ")
    assert path.split(".")[0] in str(error.value)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name):
    case = CASES[name]
    arguments = copied(case.arguments)
    floats = {path: a.astype(np.float32) for path, a in leaves(arguments).items() if a.dtype == np.float64}
    for array in flat(case.call(with_leaves(arguments, floats))):
        assert array.ndim == 0 or array.dtype != np.float64


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="conv2d: x is a masked array"):
        conv2d(np.ma.masked_array(numbers(1, 4, 4, 2)), numbers(3, 3, 2, 2))


# Empty batches ----------------------------------------------------------------------------------------------------


class Poisoned:
    """Memory full of NaN."""

    array_type = np.ndarray

    def array(self, shape, dtype):
        return np.full(shape, np.nan if dtype.kind == "f" else 99, dtype)


def is_batch(case, path):
    return expectation(case, path).axes.split()[0] in ("n", "_n")


@pytest.mark.parametrize("name", CASES)
def test_an_empty_batch(name):
    case = CASES[name]
    arguments = copied(case.arguments)
    batches = {path: a[:0] for path, a in leaves(arguments).items() if is_batch(case, path)}
    if not batches:
        pytest.skip("no images among the arguments")
    arguments = with_leaves(arguments, batches)
    with allocate_from(Poisoned()), np.errstate(all="raise"):
        results = flat(case.call(arguments))
    full = flat(case.call(copied(case.arguments)))
    for empty, usual in zip(results, full, strict=True):
        assert np.isfinite(empty).all()
        if "gradient" in name or "backward" in name:
            assert not empty.any()
        if usual.ndim == 4 and usual.shape[0] == len(next(iter(leaves(case.arguments).values()))):
            assert empty.shape in ((0, *usual.shape[1:]), usual.shape)
    if "loss" in name or "dice" in name:
        assert results[0] == 0


# Shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_shapes_that_do_not_fit_are_refused(name):
    case = CASES[name]
    for path, array in leaves(case.arguments).items():
        axes = expectation(case, path).axes
        if axes == "...":
            continue
        changed = {axis: np.concatenate([array, array], axis) for axis in range(array.ndim)}
        free = case.free.get(path, case.free.get(path.split(".")[0], ""))
        for axis, larger in changed.items():
            if str(axis) in free:
                continue
            with pytest.raises(ValueError, match=r"\d"):
                case.call(with_leaves(copied(case.arguments), {path: larger}))
        if axes != "*":
            with pytest.raises(ValueError, match=r"axes|does not fit"):
                case.call(with_leaves(copied(case.arguments), {path: array[None]}))
        if axes.split()[-1] == "c" and len(axes.split()) == 4:
            for axis in (1, 2, 3):
                with pytest.raises(ValueError, match="0"):
                    case.call(with_leaves(copied(case.arguments), {path: array.take([], axis)}))


@pytest.mark.parametrize(
    ("backward", "settings", "text"),
    [
        (resampling.upsample_nearest_backward, {"scale": 4}, r"dy \(2, 6, 7, 4\) is not a multiple of the scale"),
        (resampling.bed_of_nails_backward, {"scale": (2, 3)}, "is not a multiple of the scale"),
        (resampling.bilinear_transpose_backward, {"factor": 4}, "times the factor 4"),
        (shape.pad2d_backward, {"padding": 3}, r"nothing inside a border of \(3, 3\)"),
        (shape.crop2d_backward, {"offset": 1, "size": (6, 9)}, r"at \(1, 1\) does not fit into 6×9"),
        (shape.concatenate_backward, {"channels": [1, 2]}, "do not add up"),
    ],
)
def test_gradients_that_no_output_has_are_refused(backward, settings, text):
    with pytest.raises(ValueError, match=text):
        backward(numbers(2, 6, 7, 4), **settings)


@pytest.mark.parametrize("value", [np.int64(2), np.uint8(2), [2, 2], (np.int32(2), 2)])
def test_every_integer_is_accepted_as_a_setting(value):
    assert pair(value, "stride", 1) == (2, 2)
    assert all(type(v) is int for v in pair(value, "stride", 1))
    x, weight = numbers(1, 5, 5, 2), numbers(3, 3, 2, 2)
    np.testing.assert_array_equal(conv2d(x, weight, stride=value), conv2d(x, weight, stride=2))


@pytest.mark.parametrize("value", [True, 2.0, np.float64(3), np.True_, "2", None, (2,), (1, 2, 3), (2, True)])
def test_other_settings_are_refused(value):
    with pytest.raises(ValueError, match=r"stride is .*expected an integer or a pair of integers, each at least 1"):
        conv2d(numbers(1, 5, 5, 2), numbers(3, 3, 2, 2), stride=value)


class Strange(np.ndarray):
    """An array whose operators mean something else."""

    def __array_ufunc__(self, *_, **__):
        raise AssertionError("an operation used an operator of a subclass")


def test_operations_work_on_the_plain_array_behind_a_subclass():
    logits, labels = np.random.default_rng(0).standard_normal((2, 4, 5, 3)), np.zeros((2, 4, 5), np.int64)
    loss, gradient = PixelLoss(3)(logits, labels)
    got, strange = PixelLoss(3)(logits.view(Strange), labels.view(Strange))
    assert type(got) is float
    assert got == loss
    assert type(strange) is np.ndarray
    np.testing.assert_array_equal(strange, gradient)
