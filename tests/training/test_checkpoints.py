import errno
import io
import json
import os
import re

import numpy as np
import pytest

from scratchnet.data import Preprocessing
from scratchnet.training import Checkpoint, ModelSpec, load_checkpoint, save_checkpoint
from scratchnet.training import checkpoints as module
from scratchnet.utils.errors import UserError
from tests.compare import numbers
from tests.tiny import files, network, recipe

OPTIONS = {"bloodcell": {"width": 0.1, "batch_norm": True}, "deconvnet-small": {"size": 32, "width": 2}}


def checkpoint(model="bloodcell", seed=0, dtype=np.float32):
    """A checkpoint whose every number is drawn, statistics and memory included."""
    made = ModelSpec(
        model,
        OPTIONS[model],
        ("ground", "Zelle – セル"),
        Preprocessing("dataset", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), (48, 64)),
        {"layout": "folder", "mask_format": "threshold", "mask_threshold": 127, "ignore_index": 255},
        {"training": {"seed": 3, "class_weights": None}, "data": {"resize": [48, 64]}},
    )
    net = made.build().allocate(seed, dtype)
    for index, buffer in enumerate(net.state().values()):
        buffer.value[...] = abs(numbers(*buffer.value.shape, seed=index, dtype=dtype))
    memory = {name: numbers(net.parameter_count(), seed=5, dtype=dtype) for name in ("mean", "square")}
    return Checkpoint(made, net, {"epoch": 3, "best_score": 0.5, "rows": [{"train_loss": 0.25}]}, memory)


def contents(found):
    """Everything that a checkpoint says, comparable with ==."""
    arrays = {
        "values": found.network.flat().values,
        **{f"state/{name}": buffer.value for name, buffer in found.network.state().items()},
        **{f"optimizer_state/{name}": array for name, array in found.optimizer_state.items()},
    }
    numbers = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
    settings = json.dumps([found.spec.data, found.spec.settings, found.progress, found.spec.options])
    return numbers, settings, found.spec.model, found.spec.classes, found.spec.preprocessing


@pytest.mark.parametrize("model", OPTIONS)
def test_everything_comes_back_bit_for_bit(tmp_path, model, dtype):
    made = checkpoint(model, dtype=dtype)
    save_checkpoint(tmp_path / "a.npz", made)
    found = load_checkpoint(tmp_path / "a.npz")
    assert contents(found) == contents(made)
    assert not found.network.training
    x = numbers(1, 32, 32, 3, dtype=dtype)
    np.testing.assert_array_equal(found.network.forward(x), made.network.eval().forward(x))


def test_parameters_are_views_of_the_flat_buffer_again(tmp_path):
    save_checkpoint(tmp_path / "a.npz", checkpoint())
    net = load_checkpoint(tmp_path / "a.npz").network
    net.flat().values[...] = 7
    assert all((parameter.value == 7).all() for parameter in net.parameters().values())


def test_the_file_holds_no_pickle_and_explains_itself(tmp_path):
    save_checkpoint(tmp_path / "a.npz", checkpoint())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    header = json.loads(arrays["header"].tobytes())
    assert header["format"] == 1
    assert header["model"] == "bloodcell"
    assert header["classes"] == ["ground", "Zelle – セル"]
    assert header["versions"]["scratchnet"]
    assert header["versions"]["numpy"] == np.__version__
    assert sum(int(np.prod(shape)) for _, shape in header["parameters"]) == arrays["values"].size
    assert all(array.dtype != object for array in arrays.values())


def test_a_file_for_use_has_no_memory(tmp_path):
    save_checkpoint(tmp_path / "a.npz", Checkpoint(recipe(), network()))
    found = load_checkpoint(tmp_path / "a.npz")
    assert (found.optimizer_state, found.progress) == ({}, {})


# Interrupted writing --------------------------------------------------------------------------------------------------


class FailingFile:
    """Writes ``limit`` bytes and then fails, as a disk does that is full."""

    def __init__(self, file, limit, error):
        self.file, self.limit, self.error = file, limit, error

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        size = len(memoryview(data).cast("B"))
        self.limit -= size
        if self.limit < 0:
            raise self.error
        return self.file.write(data)


@pytest.mark.parametrize("limit", [0, 10, 1000, 20_000, 60_000, 90_000])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()], ids=repr)
def test_a_write_that_stops_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch, limit, error):
    path = tmp_path / "a.npz"
    save_checkpoint(path, checkpoint())
    before = files(tmp_path)
    assert path.stat().st_size > 90_000  # so that every limit is inside
    fdopen = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *args: FailingFile(fdopen(*args), limit, error))
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else UserError) as caught:
        save_checkpoint(path, checkpoint(seed=1))
    if isinstance(error, OSError):
        assert str(caught.value) == f"{path}: could not be written (No space left on device); free some space"
    assert files(tmp_path) == before


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()], ids=repr)
def test_a_disk_that_is_full_at_the_last_moment_leaves_the_old_file(tmp_path, monkeypatch, error):
    def fsync(handle):
        raise error

    path = tmp_path / "a.npz"
    save_checkpoint(path, checkpoint())
    before = files(tmp_path)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises((UserError, KeyboardInterrupt)):
        save_checkpoint(path, checkpoint(seed=1))
    assert files(tmp_path) == before


def test_an_interrupted_first_write_leaves_nothing(tmp_path, monkeypatch):
    def fsync(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "a.npz", checkpoint())
    assert files(tmp_path) == {}


# Damage ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Bytes of a checkpoint, and what they say."""
    path = tmp_path_factory.mktemp("good") / "a.npz"
    save_checkpoint(path, checkpoint())
    return path.read_bytes(), contents(load_checkpoint(path))


def assert_refused_or_the_same(path, data, expected):
    """Load damaged bytes: one line that names the file, or exactly the stored numbers. Return whether refused."""
    path.write_bytes(data)
    refusal = None
    try:
        found = load_checkpoint(path)
    except UserError as error:
        refusal = str(error)
    if refusal is None:
        assert contents(found) == expected
        return False
    assert str(path) in refusal
    assert "\n" not in refusal
    return True


def test_truncated_at_any_length_is_refused(tmp_path, good):
    data, expected = good
    lengths = {0, 1, 2, 21, 22, 30, 64, len(data) - 1, len(data) - 21, len(data) - 22, len(data) - 23}
    for length in sorted(lengths | set(range(100, len(data), 1499))):
        assert assert_refused_or_the_same(tmp_path / "a.npz", data[:length], expected), length


def test_altered_bytes_never_give_other_numbers(tmp_path, good):
    data, expected = good
    rng = np.random.default_rng(0)
    heads = [match.start() for match in re.finditer(rb"PK\x03\x04|PK\x01\x02|PK\x05\x06|\x93NUMPY", data)]
    near_heads = rng.choice([start + offset for start in heads for offset in range(130)], 260, replace=False)
    anywhere = rng.integers(0, len(data), 120)
    refused = 0
    for position in [*near_heads, *anywhere]:
        altered = bytearray(data)
        if position < len(data):
            altered[position] ^= int(rng.integers(1, 256))
            refused += assert_refused_or_the_same(tmp_path / "a.npz", bytes(altered), expected)
    assert refused > 150


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"'descr': '<f4'", b"'descr': '<f2'"),
        (b"'descr': '<f4'", b"'descr': '<i4'"),
        (b"'shape': (", b"'shape':  "),
        (b"'descr': '|u1'", b"'descr': '|O1'"),
        (b"'fortran_order': False", b"'fortran_order': Fals("),
        (b'"format": 1', b'"format": 7'),
    ],
    ids=["half the bytes", "integers", "no tuple", "objects", "no Python", "future format"],
)
def test_altered_headers_are_refused(tmp_path, good, old, new):
    """NumPy reads an array's own header before any checksum: a type of fewer bytes would be believed."""
    data, expected = good
    for match in re.finditer(re.escape(old), data):
        altered = data[: match.start()] + new + data[match.end() :]
        assert assert_refused_or_the_same(tmp_path / "a.npz", altered, expected)


def test_swapped_blocks_are_refused(tmp_path, good):
    data, expected = good
    for start in range(3000, len(data) - 6000, 9000):
        one, other = data[start : start + 2000], data[start + 2000 : start + 4000]
        altered = data[:start] + other + one + data[start + 4000 :]
        assert assert_refused_or_the_same(tmp_path / "a.npz", altered, expected)


# Other files ----------------------------------------------------------------------------------------------------------


def repacked(path, good_bytes, **changes):
    """Write a checkpoint with intact checksums but another header or other arrays."""
    path.write_bytes(good_bytes)
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    header = json.loads(arrays["header"].tobytes())
    for name, value in changes.items():
        if name.startswith("array "):
            arrays[name.removeprefix("array ")] = value
        else:
            header[name] = value
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2, "versions": {"scratchnet": "9.9"}}, "format 2, made by scratchnet 9.9; .* reads format 1"),
        ({"model": "segnet-huge"}, "model 'segnet-huge' does not exist"),
        ({"options": {"depth": 3}}, "has no option 'depth'"),
        ({"options": {"width": 0.2}}, "its parameters are not those of model 'bloodcell'"),
        ({"options": {"width": "wide"}}, "does not fit together"),
        ({"options": None}, "does not fit together"),
        ({"classes": ["a", "b", "c"]}, "its parameters are not those"),
        ({"classes": 3}, "does not fit together"),
        ({"preprocessing": {"blur": 1}}, "does not fit together"),
        ({"settings": None}, "its header has another form"),
        ({"settings": {"data": 3}}, "its data settings have another form"),
        ({"data": {"held_out": 3}}, "its data settings have another form"),
        ({"classes": [1, 2]}, r"its classes are \[1, 2\]"),
        ({"classes": ["cell"]}, r"its classes are \['cell'\]"),
        ({"preprocessing": {"normalization": "magic"}}, "not a preprocessing"),
        ({"preprocessing": {"mean": [0.5]}}, "not a preprocessing"),
        ({"preprocessing": {"std": [0.2, 0.2, 0]}}, "not a mean and a standard deviation"),
        ({"preprocessing": {"resize": [8, 8, 8]}}, "not a height and a width"),
        ({"preprocessing": {"resize": [0, 8]}}, "not a height and a width"),
        ({"parameters": []}, "its parameters are not those"),
        ({"optimizer_state": ["mean", "spin"]}, "does not fit together"),
        ({"array values": np.zeros(5, np.float32)}, "its parameters are not those"),
        ({"array optimizer_state/mean": np.zeros(5, np.float32)}, "state is not as long"),
        ({"array state/conv1_bn.running_var": np.zeros(2, np.float32)}, r"running_var has shape \(2,\), expected"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, good, changes, words):
    path = tmp_path / "a.npz"
    repacked(path, good[0], **changes)
    with pytest.raises(UserError, match=words) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["values", "state/conv1_bn.running_var"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(tmp_path, good, name, number):
    """They would make every mask all background, without a word."""
    path = tmp_path / "a.npz"
    with np.load(io.BytesIO(good[0])) as stored:
        array = stored[name]
    array[-1] = number
    repacked(path, good[0], **{f"array {name}": array})
    with pytest.raises(UserError, match=r"its .* are not all finite"):
        load_checkpoint(path)


def test_numbers_of_another_type_are_refused(tmp_path, good):
    with np.load(io.BytesIO(good[0])) as stored:
        whole = stored["values"].astype(np.int32)
    repacked(tmp_path / "a.npz", good[0], **{"array values": whole})
    with pytest.raises(UserError, match="its parameters are int32, expected float32"):
        load_checkpoint(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["text", "npz", "npy", "zip", "png", "list", "pickle"])
def test_other_files_are_refused(tmp_path, kind):
    path = tmp_path / "a.npz"
    if kind == "text":
        path.write_text("epoch,loss\n1,0.5\n")
    elif kind == "npz":
        np.savez(path, images=np.zeros((3, 4)))
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(4))
    elif kind == "zip":
        path.write_bytes(b"PK\x05\x06" + bytes(18))
    elif kind == "png":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    elif kind == "list":
        np.savez(path, header=np.frombuffer(b"[1, 2]", np.uint8))
    else:
        np.savez(path, header=np.array([{"format": 1}], dtype=object))
    with pytest.raises(UserError, match="no readable checkpoint") as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)


def test_missing_folder_and_empty(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.npz")
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(tmp_path)
    (tmp_path / "empty.npz").touch()
    with pytest.raises(UserError, match=r"empty\.npz: the checkpoint is empty \(0 bytes\)"):
        load_checkpoint(tmp_path / "empty.npz")


def test_the_format_is_stored_once():
    assert module.FORMAT == 1  # raise it, and add a test that reads the older one, when the layout changes
