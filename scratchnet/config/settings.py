"""The groups of settings: every field with its default and its `--help` text."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from scratchnet.config.sizes import Side, Size
from scratchnet.data import Augmentation, Curriculum, Layout, MaskFormat, Normalization
from scratchnet.data.mask_values import parse_mask_values
from scratchnet.engine.device import DeviceName
from scratchnet.engine.modes import MatrixPrecision
from scratchnet.losses import LossName
from scratchnet.ops.pixel_factors import Normalization as LossNormalization

OptimizerName: TypeAlias = Literal["sgd", "adam", "adamw"]
ScheduleName: TypeAlias = Literal["constant", "step", "poly", "cosine", "plateau"]
AllReduceName: TypeAlias = Literal["nccl", "mpi"]
ClassWeights: TypeAlias = Literal["median-frequency", "camvid"]

DEFAULT_EPOCHS = 20
"""Epochs of a training whose settings give neither epochs nor updates."""


@dataclass(frozen=True)
class DataSettings:
    """The data set and how it is read."""

    data: str = ""
    """Folder of the data set."""
    layout: Layout = "folder"
    """folder: images/ and masks/, lists in splits/NAME.txt; camvid: NAME/ and NAMEannot/, optional lists NAME.txt; voc:
    JPEGImages/ and SegmentationClass/, lists in ImageSets/Segmentation/NAME.txt."""
    train_split: str = "train"
    """Split to train on, if the folder has splits."""
    val_split: str = "val"
    """Split to validate on, if the folder has splits."""
    val_fraction: float = 0.2
    """Fraction of the images held back for validation, if the folder has no splits."""
    classes: int | tuple[str, ...] | None = None
    """Number of classes, or their names, for folders without classes.txt."""
    mask_format: MaskFormat = "index"
    """index: the pixel value (or palette index) is the class; binary: 0 and 255; threshold: grey above --mask-threshold
    is class 1; rgb-index: three equal channels that hold the class."""
    mask_threshold: int | None = None
    """Values of grey masks above this are class 1, JPEG noise included. Implies --mask-format threshold."""
    mask_values: tuple[str, ...] | None = None
    """Class of each mask value, as VALUE=CLASS or VALUE=ignore, for example 0=0 128=1 255=2; for the formats index and
    rgb-index. Default: the value is the class."""
    ignore_index: int = 255
    """Mask value of ignored pixels."""
    range: tuple[float, float] | None = None
    """Values of images with more than 8 bits (16-bit, 32-bit, floating point) that become black and white, for example
    0 4095 for a 12-bit camera; values outside are clipped. 8-bit images are not changed."""
    resize: Size | None = None
    """Resize every image to this height and width first; results are returned in the image's own size."""
    tile: Side | None = None
    """Cut the training images into tiles of this side."""
    tile_overlap: int = 0
    """Minimum overlap of those tiles in pixels."""
    normalization: Normalization | None = None
    """dataset: mean and standard deviation of the training set; image: of each image; none; torchvision or caffe: as
    pretrained weights from there expect. Default: dataset, or torchvision with --init-weights."""

    @property
    def masks(self) -> dict[str, Any]:
        """Arguments of :func:`scratchnet.data.open_dataset` about masks."""
        return {
            "mask_format": self.mask_format if self.mask_threshold is None else "threshold",
            "mask_threshold": 127 if self.mask_threshold is None else self.mask_threshold,
            "ignore_index": self.ignore_index,
            "mask_values": None if self.mask_values is None else parse_mask_values(self.mask_values),
        }


@dataclass(frozen=True)
class ModelChoice:
    """A model's name and the size of its images."""

    model: str = "bloodcell"
    """Name of the model."""
    size: Side | None = None
    """deconvnet, deconvnet-small: height and width of its images."""


@dataclass(frozen=True)
class ModelOptions:
    """Options of the models, declared once for all commands. None keeps a model's default."""

    batch_norm: bool | None = None
    """bloodcell, unet, unet-same, fcn32s, fcn16s, fcn8s: add batch norm after every convolution."""
    unpool: Literal["switches", "nearest", "transposed"] | None = None
    """bloodcell, segnet, segnet-basic, deconvnet-small: place values at the switches, repeat them, or (all but
    bloodcell) use a learned transposed convolution."""
    width: float | None = None
    """Factor on all numbers of filters; for deconvnet-small and squares, the number of filters of the first layer."""
    depth: int | None = None
    """unet, unet-same: number of poolings."""
    dropout: bool | None = None
    """unet, unet-same: apply dropout at the end of the encoder (default). segnet, segnet-basic: after the central
    encoders and decoders, as in Bayesian SegNet."""
    padding: Literal["paper", "same"] | None = None
    """fcn32s, fcn16s, fcn8s: pad the first convolution by 100 pixels, or (cheaper) just enough to cover the image."""
    upsampling: Literal["fixed", "paper", "learned"] | None = None
    """fcn32s, fcn16s, fcn8s: upsampling layers that are trained: none, all but the last, all."""
    at_once: bool | None = None
    """fcn8s: scale pool4 and pool3, to train the network in a single stage."""

    def options(self) -> dict[str, Any]:
        """Return the options that are not None."""
        chosen = {f.name: getattr(self, f.name) for f in fields(ModelOptions)}
        if self.width is not None and float(self.width).is_integer():
            chosen["width"] = int(self.width)
        return {name: value for name, value in chosen.items() if value is not None}


@dataclass(frozen=True)
class ModelSettings(ModelOptions, ModelChoice):
    """The network. Options that are not given keep the model's defaults; `scratchnet models` lists them."""

    def options(self) -> dict[str, Any]:
        """Return the options that are not None, the size included."""
        return ({} if self.size is None else {"size": self.size}) | super().options()


@dataclass(frozen=True)
class TrainingSettings:
    """Optimiser, schedule, loss and everything else about the training itself."""

    epochs: int | None = None
    """Passes over the training images. Default: 20, or as many as --iterations needs."""
    iterations: int | None = None
    """Stop after this many updates, if that is earlier."""
    samples_per_epoch: int | None = None
    """Samples in an epoch, after which the network is validated. Small sets are repeated, with other augmentation each
    time; of larger sets every epoch draws a part. Default: every training image once."""
    val_every: int = 1
    """Validate after every N epochs, and after the last one."""
    val_samples: int | None = None
    """Validate on this many of the validation images, drawn once by the seed; after the training, the network is
    evaluated on all of them. Default: all."""
    batch_size: int = 8
    """Images in a batch."""
    gradient_accumulation: int = 1
    """Make one update from the gradient of this many batches, as if they were one large batch, in the memory of one.
    Batch norm still sees one batch at a time."""
    activation_checkpointing: bool = False
    """Store only some activations and recompute the others in the backward pass: the same bits in less memory, for up
    to a third more time (`scratchnet models NAME` shows the memory)."""
    optimizer: OptimizerName = "adam"
    """sgd (with momentum), adam, or adamw (adam with decoupled weight decay)."""
    learning_rate: float = 1e-3
    """Learning rate at the start."""
    momentum: float = 0.9
    """Momentum of sgd."""
    nesterov: bool = False
    """Use Nesterov momentum in sgd."""
    weight_decay: float = 0.0
    """Decay of weights; biases and batch norm do not decay."""
    bias_lr_multiplier: float = 1.0
    """Factor on the learning rate of biases (Caffe's recipes: 2)."""
    schedule: ScheduleName = "constant"
    """constant; step: multiplied by --lr-decay every --lr-step-epochs epochs or --lr-step-updates updates; poly:
    (1 - progress)^0.9; cosine: half a cosine wave down to 0; plateau: multiplied by --lr-decay when the validation
    score has not risen for --lr-step-epochs epochs."""
    lr_decay: float = 0.1
    """Factor on the learning rate, for the schedules step and plateau."""
    lr_step_epochs: int = 10
    """Number of epochs, for the schedules step and plateau."""
    lr_step_updates: int | None = None
    """Number of updates, for the schedule step; replaces --lr-step-epochs."""
    warmup_updates: int = 0
    """Number of updates at the start in which the learning rate rises to that of the schedule."""
    ema: float | None = None
    """Keep an exponential moving average of the weights, and of batch norm's running statistics, with this decay, for
    example 0.999. Validation and checkpoint.npz use the average; the training continues with the weights."""
    loss: LossName = "cross-entropy"
    """Loss to minimise; sigmoid or softmax follows from the model. focal: cross-entropy that gives less weight to well
    classified pixels; tversky: overlap, with a weight for each kind of error."""
    label_smoothing: float = 0.0
    """Fraction of every label that is spread evenly over all classes, in cross-entropy."""
    focal_gamma: float = 2.0
    """Exponent of the focal loss: the larger, the less weight have well classified pixels."""
    tversky_alpha: float = 0.3
    """Weight of false positives in the tversky loss."""
    tversky_beta: float = 0.7
    """Weight of false negatives in the tversky loss."""
    loss_normalization: LossNormalization = "pixels"
    """Divide the cross-entropy by the number of pixels that are not ignored (Caffe), by the sum of their weights
    (PyTorch), or not at all."""
    class_weights: ClassWeights | tuple[float, ...] | None = None
    """Weights of the classes in the cross-entropy. median-frequency: from the training masks, larger for rare classes;
    camvid: the published weights of CamVid's 11 classes; or one number per class."""
    class_weights_power: float = 1.0
    """Exponent applied to the class weights: 0.5 softens them, 0 makes them all 1."""
    class_weights_cap: float | None = None
    """Largest class weight; larger ones, after the exponent, are reduced to it."""
    border_weight: float = 0.0
    """Largest extra weight of class 0 between neighbouring objects, which are the regions of other classes, after U-Net
    (paper: 10). Keeps objects apart; class 0 is then found where it is not."""
    border_sigma: float = 5.0
    """Width in pixels over which this weight fades as the gap grows."""
    patience: int | None = None
    """Stop when the validation score has not risen for this many epochs."""
    per_image_bn: bool = False
    """Normalise every second batch image by image, so that batch norm works at test time with an image's own statistics
    as well as with running averages."""
    recalibrate: bool = True
    """After the training, recompute batch norm's statistics from at most 256 batches of the training set, and keep them
    unless they lower the validation score."""
    init_weights: str | None = None
    """File of VGG16 weights to initialise the encoder with, for models that are built on VGG16: torchvision's .pth,
    .safetensors or .npz. Weights from Caffe need --normalization caffe."""
    start_from: str | None = None
    """Checkpoint to initialise the network with, of an earlier stage for example, or a network in the box (nuclei).
    Layers that it does not contain in the same shape are initialised as usual."""
    freeze: tuple[str, ...] = ()
    """Names of steps or parameters that are not trained, with the wildcards * and ?: conv1 'enc*' 'bn*.scale'. They are
    neither updated nor decayed, and their gradients are not computed."""
    freeze_statistics: bool = False
    """Also freeze the running statistics of the batch norm layers that --freeze names, and normalise with them in
    training."""
    device: DeviceName = "cpu"
    """cpu, or gpu (an NVIDIA GPU, through CuPy)."""
    precision: MatrixPrecision = "float32"
    """Precision of matrix products on a GPU: float32, or with shorter mantissas on its tensor cores (tf32, bf16)."""
    allreduce: AllReduceName = "nccl"
    """How the processes of mpiexec sum arrays on their GPUs. nccl: from GPU to GPU, each process with its own; mpi:
    through the host, slower, also for processes that share a GPU."""
    seed: int = 0
    """Seed of all random numbers."""


@dataclass(frozen=True)
class TrainSettings:
    """All settings of `scratchnet train`."""

    out: str = ""
    """Folder of the run, for checkpoint.npz, last.npz, log.csv, config.toml, metrics.json and report.html."""
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    curriculum: Curriculum = field(default_factory=Curriculum)

    @property
    def normalization(self) -> Normalization:
        """Normalisation of the pixels: the chosen one, or the one that fits the initial weights."""
        return self.data.normalization or ("torchvision" if self.training.init_weights else "dataset")
