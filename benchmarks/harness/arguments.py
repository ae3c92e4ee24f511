"""What the commands of ``scratchnet bench`` take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from benchmarks.harness.network_cases import NetworkCase, network_case
from scratchnet.cli.flags import Metavar, Positional
from scratchnet.config import ModelSettings, OptimizerName
from scratchnet.config.sizes import Size
from scratchnet.engine.device import DeviceName
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError


@dataclass(frozen=True)
class BenchArguments:
    """What all of them share."""

    json: Annotated[str | None, Metavar("FILE")] = None
    """Write every row, with its ratios and spread, the machine, versions and date."""
    threads: int | None = None
    """Cores to use, PyTorch as well. Default: SCRATCHNET_THREADS, or all."""
    repeats: int | None = None
    """Blocks of calls a contestant. Default: 9."""
    quick: bool = False
    """Few and short blocks: to see that everything runs."""


@dataclass(frozen=True)
class NetworkArguments(BenchArguments):
    """What measurements of whole networks share."""

    model: tuple[str, ...] = ()
    """Models, or vgg16-mirror: DeconvNet at the paper's size without its fully connected layers."""
    size: Size | None = None
    """Size of the images, HxW or one number."""
    classes: int | None = None
    """Number of classes. Default: 2, or 21 for vgg16-mirror."""
    batch_norm: bool | None = None
    """bloodcell, unet, unet-same, fcn32s, fcn16s, fcn8s: batch norm behind every convolution. Default: on."""
    unpool: Literal["switches", "nearest", "transposed"] | None = None
    """Of the models that know several ways, see `scratchnet models`."""
    width: float | None = None
    """A factor on all numbers of filters; for deconvnet-small and squares the filters of the first layer."""
    memory: bool = True
    """Measure peak memory too, each contestant in a process of its own."""

    def cases(self, models: Sequence[str], size: Pair | None, batches: Sequence[int | None]) -> list[NetworkCase]:
        """Return every model with every batch; ``models`` and ``size`` are what is taken without the flags."""
        if self.classes is not None and not 2 <= self.classes <= 256:
            raise UserError(f"--classes {self.classes}: expected 2 to 256, the background included")
        size = self.size or size
        chosen = ModelSettings(batch_norm=self.batch_norm, unpool=self.unpool, width=self.width).options()
        return [
            network_case(model, size, batch, self.classes, chosen)
            for model in self.model or models
            for batch in batches
        ]


@dataclass(frozen=True)
class StepArguments(NetworkArguments):
    """Measure whole training steps (forward, loss, backward, update): time, rate and peak memory.

    Default: deconvnet-small and bloodcell on 8 images of 128x128.
    """

    batch: tuple[int, ...] = ()
    """Images a batch; several numbers measure each. Default: 8, or 1 for images above 128x128."""
    optimizer: OptimizerName = "sgd"
    """sgd (with momentum and weight decay) or adam."""
    activation_checkpointing: bool = False
    """Measure our step with recomputation: less memory, up to a third more time (see `scratchnet train --help`)."""
    compile: bool = False
    """Let torch.compile take part; it needs a C++ compiler and minutes."""
    device: DeviceName = "cpu"
    """gpu: beside PyTorch on the same card, in float32, TF32 and bfloat16; --repeats are steps then."""


@dataclass(frozen=True)
class SegmentArguments(NetworkArguments):
    """Measure the segmentation of one large image: forward only; time, rate and peak memory.

    Default: bloodcell and vgg16-mirror on an image of 1024x1024.
    """


@dataclass(frozen=True)
class OpsArguments(BenchArguments):
    """Measure single operations, forward and backward: convolutions, pooling, batch norm, losses, updates."""

    names: Annotated[tuple[str, ...], Positional("[NAME…]")] = ()
    """Only operations whose name contains one of these words."""
    batch: int = 4
    """Images a batch."""


@dataclass(frozen=True)
class PeersArguments(OpsArguments):
    """Measure single operations beside other libraries in NumPy alone: DeZero and MyGrad, where they are installed."""

    batch: int = 1
    """Images a batch."""
