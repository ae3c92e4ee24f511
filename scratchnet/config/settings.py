"""The groups of settings, field by field, with their defaults and what `--help` says of them."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from scratchnet.config.sizes import Side, Size
from scratchnet.data import Augmentation, Curriculum, Layout, MaskFormat, Normalization
from scratchnet.engine.device import DeviceName
from scratchnet.engine.modes import MatrixPrecision
from scratchnet.losses import LossName
from scratchnet.ops.pixel_factors import Normalization as LossNormalization

OptimizerName: TypeAlias = Literal["sgd", "adam", "adamw"]
ScheduleName: TypeAlias = Literal["constant", "step", "poly", "cosine", "plateau"]
AllReduceName: TypeAlias = Literal["nccl", "mpi"]
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
    val_fraction: float = 0.2
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
    range: tuple[float, float] | None = None
    """Stored values of images with more than 8 bits (16-bit, 32-bit, floating point) that become black and white, for
    example 0 4095 for a 12-bit camera; values beyond are cut off. Images of 8 bits stay as they are."""
    resize: Size | None = None
    """Height and width to which every image is brought first; results come back in the image's own size."""
    tile: Side | None = None
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
    size: Side | None = None
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
    gradient_accumulation: int = 1
    """Batches that make one update together, with the gradient of one batch of all their images: large batches in the
    memory of small ones. Batch norm still sees one batch at a time."""
    activation_checkpointing: bool = False
    """Keep few of a batch's values and compute the others again when the backward pass comes to them: the same network
    to the bit in less memory, for up to a third more time (`scratchnet models NAME` counts it)."""
    optimizer: OptimizerName = "adam"
    """sgd (with momentum), adam, or adamw (adam whose weights decay by themselves)."""
    learning_rate: float = 1e-3
    """At the start."""
    momentum: float = 0.9
    """Of sgd."""
    nesterov: bool = False
    """Let sgd take the gradient that its momentum leads to."""
    weight_decay: float = 0.0
    """On weights; biases and batch norm have none."""
    bias_lr_multiplier: float = 1.0
    """Factor on the learning rate of biases (Caffe's recipes: 2)."""
    schedule: ScheduleName = "constant"
    """constant; step: multiplied by --lr-decay every --lr-step-epochs epochs or --lr-step-updates updates; poly:
    (1 - progress)^0.9; cosine: half a cosine wave down to 0; plateau: multiplied by --lr-decay when the validation
    score has not risen for --lr-step-epochs epochs."""
    lr_decay: float = 0.1
    """Of the schedules step and plateau."""
    lr_step_epochs: int = 10
    """Epochs, for the schedules step and plateau."""
    lr_step_updates: int | None = None
    """Updates, for the schedule step, where they count and not the epochs."""
    warmup_updates: int = 0
    """Updates at the start in which the learning rate rises to that of the schedule."""
    ema: float | None = None
    """Keep an exponential moving average of the weights with this decay, such as 0.999: validation and checkpoint.npz
    use the average, the training itself goes on with the weights."""
    loss: LossName = "cross-entropy"
    """What is minimised; sigmoid or softmax follows from the model. focal: cross-entropy that counts well classified
    pixels less; tversky: overlap, with a weight for each kind of error."""
    label_smoothing: float = 0.0
    """Share of every label that is spread evenly over all classes, in cross-entropy."""
    focal_gamma: float = 2.0
    """How strongly focal loss turns down pixels that are classified well."""
    tversky_alpha: float = 0.3
    """Weight of false positives in the tversky loss."""
    tversky_beta: float = 0.7
    """Weight of false negatives in the tversky loss."""
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
    per_image_bn: bool = False
    """Normalise every second batch image by image: batch norm then works at test time with an image's own statistics as
    well as with averages."""
    recalibrate: bool = True
    """At the end, recompute batch norm's statistics over the training set, 256 batches of it at most."""
    init_weights: str | None = None
    """File with the weights of VGG16 that the encoder of a model built on it starts from: torchvision's .pth,
    .safetensors or .npz. Weights that come from Caffe need --normalization caffe."""
    start_from: str | None = None
    """A checkpoint whose numbers the network starts with, of an earlier stage for example. Layers that it does not have
    in the same shape start as usual."""
    freeze: tuple[str, ...] = ()
    """Names of steps or parameters that are used but not learned, with * and ? as in a shell: conv1 'enc*' 'bn*.scale'.
    They are not updated and do not decay, and no gradient is computed for them."""
    freeze_statistics: bool = False
    """Also keep the running statistics of batch norm layers that --freeze names, and normalize with them in training;
    otherwise they go on moving."""
    device: DeviceName = "cpu"
    """cpu, or gpu (NVIDIA's, through CuPy)."""
    precision: MatrixPrecision = "float32"
    """How a GPU multiplies matrices: as they are, or on its tensor cores with shortened mantissas (tf32, bf16)."""
    allreduce: AllReduceName = "nccl"
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
