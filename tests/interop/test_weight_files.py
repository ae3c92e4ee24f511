import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from scratchnet.interop.pickled import _KNOWN
from scratchnet.interop.weight_files import read_weights
from scratchnet.utils.errors import UserError
from tests.compare import numbers
from tests.interop import handmade

ARRAYS = {
    "features.0.weight": numbers(4, 3, 2, 5, dtype=np.float32),
    "features.0.bias": numbers(4, seed=1, dtype=np.float64),
    "half": numbers(3, 2, seed=2).astype(np.float16),
    "turned": np.asfortranarray(numbers(3, 4, seed=3, dtype=np.float32)),
    "count": np.array(7, np.int64),
    "none": np.zeros((0, 3), np.float32),
}

WRITERS = {
    "zip": (handmade.write_zip, {}),
    "zip, parameters": (handmade.write_zip, {"parameter": True}),
    "legacy": (handmade.write_legacy, {}),
    "legacy of 2017": (handmade.write_legacy, {"first_version": True}),
    "legacy of 2017, parameters, from a GPU": (
        handmade.write_legacy,
        {"first_version": True, "parameter": True, "cuda": True},
    ),
    "safetensors": (handmade.write_safetensors, {}),
    "npz": (handmade.write_npz, {}),
}


def assert_arrays(found, expected=None):
    expected = ARRAYS if expected is None else expected
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("case", WRITERS)
def test_every_format_is_known_by_its_first_bytes(tmp_path, case):
    write, how = WRITERS[case]
    assert_arrays(read_weights(write(tmp_path / "weights.bin", ARRAYS, **how)))


@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_pytorch_writes(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(array) for name, array in ARRAYS.items()}
    tensors["turned"] = torch.tensor(ARRAYS["turned"].T.copy()).t()
    shared = torch.arange(24.0).reshape(4, 6)
    tensors |= {
        "view": shared[1:3, ::2],
        "same": torch.nn.Parameter(shared),
        "b16": torch.tensor([1.5, -3e38]).bfloat16(),
    }
    path = tmp_path / "made.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    grid = np.arange(24, dtype=np.float32).reshape(4, 6)
    b16 = tensors["b16"].float().numpy()
    assert_arrays(read_weights(path), ARRAYS | {"view": grid[1:3, ::2], "same": grid, "b16": b16})


def test_a_trained_module_s_state(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    path = tmp_path / "made.pth"
    torch.save(module.state_dict(), path)
    assert_arrays(read_weights(path), {name: value.numpy() for name, value in module.state_dict().items()})


def test_what_is_no_tensor_is_left_out(tmp_path):
    items = handmade.text("epoch") + handmade.number(3) + handmade.text("a") + handmade.tensor("0", ARRAYS["turned"])
    pickled = handmade.PROTOCOL + b"}(" + items + b"u."
    assert_arrays(
        read_weights(handmade.write_zip(tmp_path / "w.pth", {"a": ARRAYS["turned"]}, pickled)), {"a": ARRAYS["turned"]}
    )


WEIGHTS = {"fc.weight": numbers(3, 2, dtype=np.float32), "fc.bias": numbers(3, seed=1, dtype=np.float32)}

WRAPPED = {
    "state_dict": lambda w, other: {"state_dict": w, "epoch": 3, "best": 0.5},
    "model_state_dict": lambda w, other: {"epoch": 3, "model_state_dict": w, "optimizer_state_dict": other},
    "model": lambda w, other: {"model": w, "optimizer": {"state": {0: other}, "param_groups": [{"lr": 0.1}]}},
    "net": lambda w, other: {"net": w, "acc": 97.5},
    "nested": lambda w, other: {"checkpoint": {"state_dict": w, "args": {"lr": 0.1}}},
    "a name of its own": lambda w, other: {"my_unet": w, "epoch": 3},
    "a tensor beside": lambda w, other: {"state_dict": w, "best_accuracy": other["x"]},
    "averaged copy beside": lambda w, other: {"model": w, "ema": other},
    "module.": lambda w, other: {f"module.{name}": value for name, value in w.items()},
    "_orig_mod.": lambda w, other: {f"_orig_mod.{name}": value for name, value in w.items()},
    "both": lambda w, other: {"state_dict": {f"module._orig_mod.model.{name}": value for name, value in w.items()}},
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts_are_unwrapped(tmp_path, form, zipped):
    torch = pytest.importorskip("torch")
    weights = {name: torch.tensor(array) for name, array in WEIGHTS.items()}
    path = tmp_path / "made.pth"
    torch.save(WRAPPED[form](weights, {"x": torch.ones(4)}), path, _use_new_zipfile_serialization=zipped)
    assert_arrays(read_weights(path), WEIGHTS)


def test_one_of_several_state_dicts_is_not_guessed_at(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {"w": torch.ones(2)}
    for saved in ({"generator": tensors, "critic": dict(tensors)}, {"model": tensors, "net": dict(tensors)}):
        torch.save(saved, tmp_path / "made.pth")
        with pytest.raises(UserError, match=rf"holds several dictionaries of tensors \({', '.join(saved)}\); save the"):
            read_weights(tmp_path / "made.pth")


@pytest.mark.parametrize("write", [handmade.write_safetensors, handmade.write_npz])
def test_names_of_wrappers_are_taken_off_in_every_format(tmp_path, write):
    path = write(tmp_path / "w.bin", {f"module.{name}": array for name, array in WEIGHTS.items()})
    assert_arrays(read_weights(path), WEIGHTS)
    mixed = {"module.a": ARRAYS["half"], "b": ARRAYS["half"]}
    assert_arrays(read_weights(write(tmp_path / "w.bin", mixed)), mixed)


def test_a_dictionary_that_holds_itself(tmp_path):
    torch = pytest.importorskip("torch")
    saved = {"state_dict": {"w": torch.ones(2)}}
    for index in range(100):
        saved[f"again{index}"] = saved
    torch.save(saved, tmp_path / "made.pth")
    assert list(read_weights(tmp_path / "made.pth")) == ["w"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_file_of_weights(tmp_path):
    os.mkfifo(tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"w\.pth: is a named pipe, expected a file of weights"):
        read_weights(tmp_path / "w.pth")


class Evil:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("write", [handmade.write_zip, handmade.write_legacy])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path, write, protocol):
    mark = tmp_path / "evil"
    pickled = pickle.dumps({"features.0.weight": Evil(mark)}, protocol)
    path = write(tmp_path / "w.pth", {}, pickled)
    with pytest.raises(UserError, match=r"w.pth: names '\w+.system', but a file of weights holds tensors only"):
        read_weights(path)
    assert not mark.exists()
    pickle.loads(pickled)  # the danger is real
    assert mark.exists()


def test_a_bare_pickle_is_refused(tmp_path):
    mark = tmp_path / "evil"
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(UserError, match="holds tensors only"):
        read_weights(tmp_path / "w.pth")
    assert not mark.exists()


def test_arrays_of_objects_are_refused(tmp_path):
    mark = tmp_path / "evil"
    np.savez(tmp_path / "w.npz", a=np.array([Evil(mark)], object))
    with pytest.raises(UserError, match="truncated, altered or no file of weights"):
        read_weights(tmp_path / "w.npz")
    assert not mark.exists()


def built(target, state):
    """A pickle that tries to set attributes of what a name leads to."""
    return handmade.PROTOCOL + target + state + handmade.BUILD + handmade.STOP


ATTRIBUTES = b"}(" + handmade.text("__call__") + handmade.number(1) + b"u"
SLOTS = b"N" + ATTRIBUTES + b"\x86"


@pytest.mark.parametrize("state", [ATTRIBUTES, SLOTS])
@pytest.mark.parametrize(
    "target",
    [
        handmade.name("torch._utils", "_rebuild_tensor_v2"),
        handmade.name("torch._utils", "_rebuild_parameter"),
        handmade.name("collections", "OrderedDict"),
        handmade.name("torch", "FloatStorage"),
    ],
)
def test_a_pickle_cannot_change_the_stand_ins(tmp_path, target, state):
    path = handmade.write_zip(tmp_path / "w.pth", {}, built(target, state))
    with pytest.raises(UserError, match="truncated, altered or no file"):
        read_weights(path)
    assert not any(hasattr(known, "__dict__") for known in _KNOWN.values() if not isinstance(known, type))
    assert_arrays(read_weights(handmade.write_zip(tmp_path / "good.pth", ARRAYS)))


def whole_model(path):
    """torch.save(model) instead of its state dict."""
    pickled = handmade.PROTOCOL + handmade.name("torchvision.models.vgg", "VGG") + handmade.EMPTY_TUPLE + b"\x81."
    handmade.write_zip(path, {}, pickled)


def safetensors(**header):
    return lambda path: handmade.write_safetensors(path, {"a": ARRAYS["turned"]}, **header)


def other_shape(path):
    """A tensor that would reach beyond its storage."""
    large = np.zeros((40, 40), np.float32)
    handmade.write_zip(path, {"a": ARRAYS["turned"]}, handmade.content({"a": large}))


def shared(path):
    """Many tensors of the same numbers."""
    many = handmade.content({f"a{i}": ARRAYS["turned"] for i in range(99)})
    for i in range(1, 99):
        many = many.replace(handmade.text(str(i)) + handmade.text("cpu"), handmade.text("0") + handmade.text("cpu"))
    handmade.write_zip(path, {"a": ARRAYS["turned"]}, many)


def reaching(path):
    """As long as its storage says, but with strides that leave it."""
    pickled = handmade.content({"a": np.zeros((3, 4), np.float32)}).replace(
        handmade.numbers([4, 1]), handmade.numbers([40, 1])
    )
    handmade.write_zip(path, {"a": ARRAYS["turned"]}, pickled)


def before(path):
    """An offset before the first number."""
    good = handmade.content({"a": np.zeros((3, 4), np.float32)})
    pickled = good.replace(b"Q" + handmade.number(0), b"Q" + handmade.number(-4))
    assert pickled != good
    handmade.write_zip(path, {"a": ARRAYS["turned"]}, pickled)


def counted(count):
    """A file in the legacy format whose only storage has another count than the pickle says."""

    def make(path):
        handmade.write_legacy(path, {"a": ARRAYS["turned"]})
        whole = path.read_bytes()
        path.write_bytes(whole[: -48 - 8] + struct.pack("<q", count) + whole[-48:])

    return make


def memory(path):
    """Five bytes that make Python reserve 16 GB: "remember this as object 2³⁰"."""
    handmade.write_zip(path, {}, handmade.PROTOCOL + b"}" + b"r" + struct.pack("<I", 1 << 30) + b".")


def numpy_file(path):
    with path.open("wb") as file:
        np.save(file, ARRAYS["half"])


WRONG = {
    "missing": (lambda path: None, "no such file; check the name"),
    "empty": (lambda path: path.write_bytes(b""), "no file of weights; expected PyTorch's"),
    "text": (lambda path: path.write_text("a page that says 404"), "no file of weights; expected PyTorch's"),
    "a picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40)), "no file of weights; expected"),
    "one array": (numpy_file, "no file of weights; expected PyTorch's"),
    "a zip of something else": (lambda path: zipfile.ZipFile(path, "w").close(), None),
    "a whole model": (whole_model, "names 'torchvision.models.vgg.VGG', but a file of weights holds tensors only"),
    "a list": (lambda path: handmade.write_zip(path, {}, pickle.dumps([1, 2])), "no dictionary of tensors"),
    "a storage that is too short": (other_shape, "not as long as its tensors need"),
    "strides beyond the storage": (reaching, "truncated, altered"),
    "an offset before the storage": (before, "truncated, altered"),
    "much memory": (memory, None),
    "a count below 0": (counted(-1), "a storage of -1 elements"),
    "a huge count": (counted(1 << 40), "a storage of 1099511627776 elements"),
    "a smaller count": (counted(11), "storage 0 is not as long as its tensors need"),
    "big-endian": (lambda path: handmade.write_zip(path, ARRAYS, byteorder="big"), "big-endian machine"),
    "compressed": (
        lambda path: handmade.write_zip(path, ARRAYS, compression=zipfile.ZIP_DEFLATED),
        "is compressed",
    ),
    "safetensors beyond the end": (
        safetensors(b={"dtype": "F32", "shape": [9], "data_offsets": [48, 84]}),
        "b extends beyond the end of the file",
    ),
    "tensors that share their values": (shared, "shares its values with too many others"),
    "safetensors that share their bytes": (
        safetensors(**{f"b{i}": {"dtype": "F32", "shape": [12], "data_offsets": [0, 48]} for i in range(99)}),
        "shares its bytes with another tensor",
    ),
    "safetensors of another size": (
        safetensors(b={"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 48]}),
        "b has 48 bytes for the shape",
    ),
    "safetensors of an unknown kind": (
        safetensors(b={"dtype": "F6", "shape": [9], "data_offsets": [0, 48]}),
        "truncated, altered",
    ),
    "safetensors with a header that is none": (
        lambda path: path.write_bytes(struct.pack("<Q", 3) + b"{]}"),
        "truncated, altered",
    ),
    "safetensors that hold a list": (
        lambda path: path.write_bytes(struct.pack("<Q", 12) + json.dumps({"a": [1, 2]}).encode()),
        "truncated, altered",
    ),
    "safetensors with an endless header": (
        lambda path: path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}"),
        "a header of 1152921504606846976 bytes in a file of 10",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_one_line(tmp_path, case):
    make, words = WRONG[case]
    path = tmp_path / "w.pth"
    make(path)
    if words is None:
        assert read_weights(path) == {}
        return
    with pytest.raises(UserError) as caught:
        read_weights(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize("case", WRITERS)
def test_files_that_end_early(tmp_path, case):
    """Wherever the end is missing, the answer is one line or, where only the padding was lost, the same arrays."""
    write, how = WRITERS[case]
    whole = write(tmp_path / "whole", ARRAYS, **how).read_bytes()
    short = tmp_path / "short"
    refused = 0
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        short.write_bytes(whole[:length])
        try:
            found = read_weights(short)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
            refused += 1
        else:
            assert_arrays(found)
    assert refused == len(range(0, len(whole), 7)) + 1


@pytest.mark.parametrize("case", WRITERS)
def test_files_with_a_wrong_byte_never_end_in_a_traceback(tmp_path, case):
    write, how = WRITERS[case]
    whole = write(tmp_path / "whole", ARRAYS, **how).read_bytes()
    path = tmp_path / "altered"
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 300):
        altered = bytearray(whole)
        altered[place] ^= int(rng.integers(1, 256))
        path.write_bytes(altered)
        try:
            read_weights(path)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
