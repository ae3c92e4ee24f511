"""Settings: a group of fields a subject, whose names are the flags of the command line and the keys of TOML files."""

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from scratchnet.data import Augmentation, Curriculum, Layout, MaskFormat, Normalization
from scratchnet.device import DeviceName
from scratchnet.errors import UserError
from scratchnet.losses import LossName
from scratchnet.modes import MatrixPrecision
from scratchnet.ops.losses import Normalization as LossNormalization

OptimizerName: TypeAlias = Literal["sgd", "adam"]
ScheduleName: TypeAlias = Literal["constant", "step", "poly", "plateau"]
GPUSums: TypeAlias = Literal["nccl", "mpi"]
ClassWeights: TypeAlias = Literal["median-frequency", "camvid"]

DEFAULT_EPOCHS = 20
"""Of a training that is given neither epochs nor updates."""


@dataclass(frozen=True)
class DataSettings:
    """Where images and masks are and how they are read."""

    data: str = ""
    """Folder of the data set."""
    layout: Layout = "folder"
    """folder: images/ beside masks/, lists in splits/NAME.txt; camvid: NAME/ beside NAMEannot/, lists NAME.txt if there
    are any; voc: JPEGImages/ beside SegmentationClass/, lists in ImageSets/Segmentation/NAME.txt."""
    train_split: str = "train"
    """Split to train on, where the folder has splits."""
    val_split: str = "val"
    """Split to validate on, where the folder has splits."""
    validation: float = 0.2
    """Share of the images held back for validation, where the folder has no splits."""
    classes: int | tuple[str, ...] | None = None
    """Number of classes, or their names, for folders without classes.txt."""
    mask_format: MaskFormat = "index"
    """index: pixel value (or palette index) is the class; binary: 0 and 255; threshold: grey above --mask-threshold is
    class 1; rgb-index: three equal channels that hold the class."""
    mask_threshold: int | None = None
    """Grey masks, JPEG noise and all: values above this are class 1. Implies --mask-format threshold."""
    ignore_index: int = 255
    """Mask value of pixels that do not count."""
    resize: tuple[int, int] | None = None
    """Height and width to which every image is brought first; results come back in the image's own size."""
    tile: int | None = None
    """Cut images into training tiles of this side first."""
    tile_overlap: int = 0
    """By how many pixels those tiles overlap at least."""
    normalization: Normalization | None = None
    """dataset: mean and standard deviation of the training set; image: each image's own; none; torchvision, caffe: what
    pretrained weights from there expect. Default: dataset, or torchvision with --init-weights."""

    @property
    def masks(self) -> dict[str, Any]:
        """How to read masks, as :func:`scratchnet.data.open_dataset` takes it."""
        return {
            "mask_format": self.mask_format if self.mask_threshold is None else "threshold",
            "mask_threshold": 127 if self.mask_threshold is None else self.mask_threshold,
            "ignore_index": self.ignore_index,
        }


@dataclass(frozen=True)
class ModelSettings:
    """Which network. An option that is not set keeps the model's default; `scratchnet models` lists them."""

    model: str = "bloodcell"
    """Name of the model."""
    batch_norm: bool | None = None
    """bloodcell, unet, unet-same, fcn32s, fcn16s, fcn8s: batch norm behind every convolution."""
    unpool: Literal["switches", "nearest", "transposed"] | None = None
    """bloodcell, segnet, segnet-basic, deconvnet-small: put values back at the switches, repeat them, or (all but
    bloodcell) learn to spread them."""
    width: float | None = None
    """A factor on all numbers of filters; for deconvnet-small and squares the filters of the first layer."""
    size: int | None = None
    """deconvnet, deconvnet-small: height and width of the images it takes."""
    depth: int | None = None
    """unet, unet-same: number of pools."""
    dropout: bool | None = None
    """unet, unet-same: dropout at the end of the way down."""
    padding: Literal["paper", "same"] | None = None
    """fcn32s, fcn16s, fcn8s: 100 at the first convolution, or as much as keeps every map over the image (cheaper)."""
    upsampling: Literal["fixed", "paper", "learned"] | None = None
    """fcn32s, fcn16s, fcn8s: which enlargements learn: none, all but the last, all."""
    at_once: bool | None = None
    """fcn8s: scale pool4 and pool3, to train it in one go."""

    def options(self) -> dict[str, Any]:
        """Return the options that are set."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "model"}
        if self.width is not None and float(self.width).is_integer():
            chosen["width"] = int(self.width)
        return {name: value for name, value in chosen.items() if value is not None}


@dataclass(frozen=True)
class TrainingSettings:
    """How the network learns."""

    epochs: int | None = None
    """Passes over the training images. Default: 20, or as many as --iterations takes."""
    iterations: int | None = None
    """Stop after this many updates, if that comes first."""
    batch_size: int = 8
    """Images a batch."""
    accumulate: int = 1
    """Batches that make one update together, with the gradient of one batch of all their images: large batches in the
    memory of small ones. Batch norm still sees one batch at a time."""
    recompute: bool = False
    """Keep few of a batch's values and compute the others again when the backward pass comes to them: the same network
    to the bit in less memory, for up to a third more time (`scratchnet models NAME` counts it)."""
    optimizer: OptimizerName = "adam"
    """sgd (with momentum) or adam."""
    learning_rate: float = 1e-3
    """At the start."""
    momentum: float = 0.9
    """Of sgd."""
    weight_decay: float = 0.0
    """On weights; biases and batch norm have none."""
    bias_rate: float = 1.0
    """Factor on the learning rate of biases (Caffe's recipes: 2)."""
    schedule: ScheduleName = "constant"
    """constant; step: times --factor after every --every epochs or --every-updates updates; poly: (1 - progress)^0.9;
    plateau: times --factor when the validation score has not risen for --every epochs."""
    factor: float = 0.1
    """Of the schedules step and plateau."""
    every: int = 10
    """Epochs, for the schedules step and plateau."""
    every_updates: int | None = None
    """Updates, for the schedule step, where they count and not the epochs."""
    loss: LossName = "cross-entropy"
    """What is minimised; sigmoid or softmax follows from the model."""
    loss_normalization: LossNormalization = "pixels"
    """Divide the cross-entropy by the counted pixels (Caffe), by the sum of their weights (PyTorch), or not at all."""
    class_weights: ClassWeights | tuple[float, ...] | None = None
    """median-frequency: counted on the training masks, rare classes weigh more; camvid: the published ones of CamVid's
    11 classes; or one number a class. They weigh the cross-entropy."""
    border_weight: float = 0.0
    """U-Net's extra weight of pixels between neighbouring objects, where it is largest (paper: 10)."""
    border_sigma: float = 5.0
    """How fast it fades with the width of the gap, in pixels."""
    patience: int | None = None
    """Stop when the validation score has not risen for this many epochs."""
    mixed_statistics: bool = False
    """Normalise every second batch image by image: batch norm then works at test time with an image's own statistics as
    well as with averages."""
    recalibrate: bool = True
    """At the end, recompute batch norm's statistics over the training set."""
    init_weights: str | None = None
    """File with the weights of VGG16 that the encoder of a model built on it starts from: torchvision's .pth,
    .safetensors or .npz. Weights that come from Caffe need --normalization caffe."""
    start_from: str | None = None
    """A checkpoint whose numbers the network starts with, of an earlier stage for example. Layers that it does not have
    in the same shape start as usual."""
    device: DeviceName = "cpu"
    """cpu, or gpu (NVIDIA's, through CuPy)."""
    precision: MatrixPrecision = "float32"
    """How a GPU multiplies matrices: as they are, or on its tensor cores with shortened mantissas (tf32, bf16)."""
    gpu_sums: GPUSums = "nccl"
    """How the processes of mpiexec add up what is on their GPUs. nccl: from GPU to GPU, every process has its own; mpi:
    by way of the host, slower, also for processes that share a GPU."""
    seed: int = 0
    """Of everything that is drawn at random."""


@dataclass(frozen=True)
class TrainSettings:
    """Everything that `scratchnet train` needs."""

    out: str = ""
    """Folder of the run: checkpoint.npz, last.npz, log.csv, config.toml, metrics.json, report.html."""
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    curriculum: Curriculum = field(default_factory=Curriculum)

    @property
    def normalization(self) -> Normalization:
        """What is done to the pixels: as asked, or what suits the weights that the network starts from."""
        return self.data.normalization or ("torchvision" if self.training.init_weights else "dataset")


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with scratchnet."""
    folder = resources.files("scratchnet") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_settings(source: str) -> TrainSettings:
    """Read settings from a TOML file or from a recipe that comes with scratchnet.

    Tables are the groups (``[data]``, ``[model]``, ``[training]``, ``[augmentation]``, ``[curriculum]``); what is left
    out keeps its default.

    Parameters
    ----------
    source : str
        Path of a ``.toml`` file, or a recipe's name.

    Raises
    ------
    UserError
        When there is no such file or recipe, it is no TOML, or a key or value is none of ours.
    """
    path = Path(source)
    try:
        if path.suffix == ".toml":
            text = path.read_text(encoding="utf-8")
        elif source in recipe_names():
            text = (resources.files("scratchnet") / "recipes" / f"{source}.toml").read_text(encoding="utf-8")
        else:
            raise UserError(f"config '{source}': no .toml file and no recipe; recipes: {', '.join(recipe_names())}")
        values = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML ({error})") from error
    settings: TrainSettings = _fill(TrainSettings, values, source)
    return settings


def write_settings(settings: TrainSettings) -> str:
    """Return the settings as TOML that :func:`read_settings` understands; what is not set (None) is left out."""
    lines = [f"out = {_toml(settings.out)}"]
    for group, values in asdict(settings).items():
        if isinstance(values, dict):
            lines += ["", f"[{group}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def check_settings(settings: TrainSettings) -> None:
    """Refuse values that make no sense, before any file is read or written.

    Raises
    ------
    UserError
        Naming the flag (a key of a TOML file is spelt alike, with underscores), its value and what is expected.
    """
    t, a, c, d = settings.training, settings.augmentation, settings.curriculum, settings.data
    check_data_settings(d)
    as_it_is = d.tile is None and d.resize is None
    _refuse(
        ("epochs", t.epochs, t.epochs is None or t.epochs >= 1, "at least 1"),
        ("iterations", t.iterations, t.iterations is None or t.iterations >= 1, "at least 1"),
        ("batch_size", t.batch_size, t.batch_size >= 1, "at least 1"),
        ("accumulate", t.accumulate, t.accumulate >= 1, "at least 1"),
        ("learning_rate", t.learning_rate, 0 < t.learning_rate < math.inf, "a number above 0"),
        ("momentum", t.momentum, 0 <= t.momentum < 1, "a number from 0 to under 1"),
        ("weight_decay", t.weight_decay, 0 <= t.weight_decay < math.inf, "0 or more"),
        ("bias_rate", t.bias_rate, 0 <= t.bias_rate < math.inf, "0 or more"),
        ("factor", t.factor, 0 < t.factor < math.inf, "a number above 0, for example 0.1"),
        ("every", t.every, t.every >= 1, "at least 1"),
        ("every_updates", t.every_updates, t.every_updates is None or t.every_updates >= 1, "at least 1"),
        ("patience", t.patience, t.patience is None or t.patience >= 1, "at least 1"),
        ("seed", t.seed, t.seed >= 0, "0 or more"),
        ("class_weights", t.class_weights, _are_weights(t.class_weights), "numbers of 0 or more, not all of them 0"),
        ("border_weight", t.border_weight, 0 <= t.border_weight < math.inf, "0 or more"),
        ("border_sigma", t.border_sigma, 0 < t.border_sigma <= 1000, "a number above 0, in pixels"),
        ("crop", a.crop, a.crop is None or min(a.crop) >= 1, "height and width of at least 1"),
        ("elastic", a.elastic, 0 <= a.elastic < math.inf, "0 or more, in pixels"),
        ("scale", a.scale, 0 < a.scale[0] <= a.scale[1] < math.inf, "two numbers above 0, the smaller one first"),
        ("start_from", t.start_from, not (t.start_from and t.init_weights), "either this or --init-weights"),
        ("stage", c.stage, c.stage is None or as_it_is, "no --tile and no --resize with it"),
        ("box_size", c.box_size, c.box_size >= 1, "at least 1"),
        ("context", c.context, 0 < c.context < math.inf, "a number above 0, for example 1.2"),
        ("least_overlap", c.least_overlap, 0 < c.least_overlap <= 1, "a number above 0 up to 1, for example 0.5"),
        ("boxes_per_object", c.boxes_per_object, c.boxes_per_object >= 0, "0 or more"),
        ("least_object", c.least_object, c.least_object >= 1, "at least 1"),
        *((name, getattr(a, name), 0 <= getattr(a, name) <= 1, "a number from 0 to 1") for name in _SHARES),
    )


_SHARES = tuple(f.name for f in fields(Augmentation) if f.type is float and f.name != "elastic")
"""Strengths and probabilities of the augmentation."""


def check_data_settings(settings: DataSettings) -> None:
    """Refuse values that make no sense for any data set; errors as in :func:`check_settings`."""
    d = settings
    threshold, side, size = d.mask_threshold, d.tile, d.resize
    classes = len(d.classes) if isinstance(d.classes, tuple) else d.classes
    _refuse(
        ("validation", d.validation, 0 < d.validation < 1, "a number between 0 and 1, for example 0.2"),
        ("classes", d.classes, classes is None or 2 <= classes <= 256, "2 to 256, the background included"),
        ("mask_threshold", threshold, threshold is None or 0 <= threshold <= 254, "0 to 254"),
        ("ignore_index", d.ignore_index, 0 <= d.ignore_index <= 255, "0 to 255"),
        ("resize", size, size is None or min(size) >= 1, "height and width of at least 1"),
        ("tile", side, side is None or side >= 1, "at least 1"),
        ("tile_overlap", d.tile_overlap, 0 <= d.tile_overlap < (side or 1), "at least 0 and under --tile"),
    )


def _are_weights(weights: str | tuple[float, ...] | None) -> bool:
    return weights is None or isinstance(weights, str) or (all(0 <= w < math.inf for w in weights) and any(weights))


def _refuse(*rules: tuple[str, Any, bool, str]) -> None:
    """Raise a UserError for the first rule (name, value, whether it is good, what is expected) that is broken."""
    for name, value, good, expected in rules:
        if not good:
            words = " ".join(map(str, value)) if isinstance(value, tuple) else value
            raise UserError(f"--{name.replace('_', '-')} {words}: expected {expected}")


def _fill(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    """Make a settings object of a table, refusing what it does not know."""
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise UserError(f"{where}: unknown setting '{key}'; known here: {', '.join(known)}")
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise UserError(f"{where}: '{key}' must be a table, [{key}]")
            made[key] = _fill(hints[key], value, f"{where} [{key}]")
            continue
        given = tuple(value) if isinstance(value, list) else value
        try:
            if isinstance(given, bool) and bool not in (hints[key], *get_args(hints[key])):
                raise TypeCheckError("true and false are no numbers")  # to Python they are 1 and 0
            made[key] = check_type(given, hints[key], collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        except TypeCheckError as error:
            raise UserError(f"{where}: '{key}' is {value!r}, but {error}") from error
    return kind(**made)


def _toml(value: Any) -> str:
    """Write one value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML string
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return repr(value)
