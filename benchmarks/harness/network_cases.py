"""Networks to measure, with image size and batch size.

``vgg16-mirror`` is the paper-size DeconvNet (Noh, Hong, Han 2015, table 2) without its fully connected layers: VGG16's
thirteen convolutions and five pooling layers, and their mirror image, with batch norm and ReLU after each convolution.
Nearly all of its work is 3×3 convolutions on maps of 14 to 224 pixels.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from scratchnet.layers import Conv2d, MaxPool2d, MaxUnpool2d
from scratchnet.models import MODELS, build
from scratchnet.models.blocks import conv_relu, deconv_relu
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError

MIRROR = "vgg16-mirror"
ENCODER = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
DECODER = ((64, 64), (128, 64), (256, 256, 128), (512, 512, 256), (512, 512, 512))

DEFAULT_MODELS = ("deconvnet-small", "bloodcell")
"""Models that are measured if none is named."""


def vgg16_mirror(classes: int, channels: int = 3) -> Network:
    """Build VGG16's convolutions and their mirror image."""
    net = Network(channels, stride=32)
    c = channels
    for i, filters in enumerate(ENCODER, 1):
        for j, c_out in enumerate(filters, 1):
            conv_relu(net, f"conv{i}_{j}", c, c_out)
            c = c_out
        last = net.add(f"pool{i}", MaxPool2d(2))
    for i in range(len(DECODER), 0, -1):
        net.add(f"unpool{i}", MaxUnpool2d(), last, f"pool{i}.switches")
        for j, c_out in enumerate(DECODER[i - 1], 1):
            last = deconv_relu(net, f"deconv{i}_{j}", c, c_out)
            c = c_out
    net.add("score", Conv2d(c, classes, 1))
    return net


@dataclass(frozen=True)
class NetworkCase:
    """A network, and the batch on which it is measured.

    Attributes
    ----------
    model : str
        A registered model, or ``vgg16-mirror``.
    size : (h, w)
        Size of the images.
    batch : int
        Number of images.
    classes : int
        Number of classes.
    options : dict
        Options of the model.
    activation_checkpointing : bool
        Whether training computes most values a second time, see :mod:`scratchnet.network.checkpointing`; PyTorch does
        not.
    """

    model: str
    size: Pair
    batch: int
    classes: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)
    activation_checkpointing: bool = False

    @property
    def name(self) -> str:
        """Model, its width unless it is the default, and images (n×h×w)."""
        usual = MODELS[self.model].options().get("width") if self.model in MODELS else None
        width = self.options.get("width", usual)
        factor = "" if width == usual else f" width {width:g}"
        suffix = ", recomputed" if self.activation_checkpointing else ""
        return f"{self.model}{factor}, {self.batch}×{self.size[0]}×{self.size[1]}{suffix}"

    def network(self) -> Network:
        """Build the network without allocating parameters."""
        mirror = self.model == MIRROR
        network = vgg16_mirror(self.classes) if mirror else build(self.model, self.classes, **self.options)
        network.activation_checkpointing = self.activation_checkpointing
        return network

    def to_dict(self) -> dict[str, Any]:
        """Return the case as a dict for JSON; :meth:`from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "NetworkCase":
        """Return the case described by a dict of :meth:`to_dict`."""
        return cls(**{**content, "size": tuple(content["size"])})


def network_case(
    model: str,
    size: Pair | None = None,
    batch: int | None = None,
    classes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> NetworkCase:
    """Return a case, with defaults for arguments that are None.

    The default image size is the model's, but at least 128×128. The default batch is 8 for images of up to 128×128
    pixels; for larger images it is 1, or 2 if a map of the network shrinks to one pixel. Batch norm is on by default.

    Raises
    ------
    UserError
        If the model does not exist, or does not accept the options, the size or the number of classes.
    """
    if model != MIRROR and model not in MODELS:
        raise UserError(f"model '{model}' does not exist; choose one of: {', '.join([*MODELS, MIRROR])}")
    if model == MIRROR and options:
        raise UserError(f"model '{MIRROR}' has no options, but came with {', '.join(options)}")
    known = MODELS[model].options() if model in MODELS else {}
    own = MODELS[model].size if model in MODELS else (224, 224)
    size = size or (max(own[0], 128), max(own[1], 128))
    chosen = dict(options or {})
    if "batch_norm" in known:
        chosen.setdefault("batch_norm", True)
    if "size" in known:
        if size[0] != size[1]:
            raise UserError(f"--size {size[0]}x{size[1]}: model '{model}' takes square images only")
        chosen["size"] = size[0]
    case = NetworkCase(model, size, batch or 1, classes or (21 if model == MIRROR else 2), chosen)
    try:
        case.network().shapes(size, case.batch)
    except ValueError as error:
        raise UserError(f"model '{model}' cannot take images of {size[0]}×{size[1]}: {error}") from error
    if batch is None and size[0] * size[1] <= 128 * 128:
        return replace(case, batch=8)
    return replace(case, batch=2) if batch is None and has_single_pixel_batch_norm(case) else case


def has_single_pixel_batch_norm(case: NetworkCase) -> bool:
    """Return whether some batch norm would have a single value per channel, which has no variance."""
    network = case.network()
    shapes = network.shapes(case.size, case.batch)
    return any(shapes[name][:3] == (1, 1, 1) for name in network.batch_norms())
