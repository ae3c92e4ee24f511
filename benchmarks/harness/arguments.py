"""Options of the ``scratchnet bench`` commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from benchmarks.harness.network_cases import MIRROR, NetworkCase, network_case
from benchmarks.harness.table_cases import ALL
from scratchnet.cli.flags import Metavar, Positional
from scratchnet.config import ModelOptions, OptimizerName
from scratchnet.config.sizes import Size
from scratchnet.engine.device import DeviceName
from scratchnet.models import MODELS
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError


@dataclass(frozen=True)
class BenchArguments:
    """Options of all benchmarks."""

    json: Annotated[str | None, Metavar("FILE")] = None
    """Write all results with ratios, quartiles, machine, versions and date."""
    threads: int | None = None
    """Number of cores for scratchnet and PyTorch. Default: SCRATCHNET_THREADS, or all."""
    repeats: int | None = None
    """Blocks of calls per implementation. Default: 9."""
    quick: bool = False
    """Few and short blocks, to check that everything runs."""


@dataclass(frozen=True)
class NetworkArguments(ModelOptions, BenchArguments):
    """Options of benchmarks of whole networks; models that have a choice use batch norm by default."""

    model: tuple[str, ...] = ()
    """Models, or vgg16-mirror: DeconvNet at the paper's size without its fully connected layers."""
    size: Size | None = None
    """Size of the images, HxW or one number for both."""
    classes: int | None = None
    """Number of classes. Default: 2, or 21 for vgg16-mirror."""
    memory: bool = True
    """Measure peak memory as well, each implementation in its own process."""

    def cases(self, models: Sequence[str], size: Pair | None, batches: Sequence[int | None]) -> list[NetworkCase]:
        """Return each model with each batch size; ``models`` and ``size`` are the defaults."""
        if self.classes is not None and not 2 <= self.classes <= 256:
            raise UserError(f"--classes {self.classes}: expected 2 to 256, the background included")
        size = self.size or size
        return [
            network_case(model, size, batch, self.classes, self.options())
            for model in self.model or models
            for batch in batches
        ]


@dataclass(frozen=True)
class StepArguments(NetworkArguments):
    """Measure whole training steps (forward, loss, backward, update): time, rate and peak memory.

    Default: deconvnet-small and bloodcell on 8 images of 128x128. --model all: ten networks, each with its own size,
    batch and width, and the forward pass of bloodcell on an image of 1024x1024.
    """

    batch: tuple[int, ...] = ()
    """Images per batch; each of several values is measured. Default: 8, or 1 for images above 128x128."""
    optimizer: OptimizerName = "sgd"
    """sgd (with momentum and weight decay) or adam."""
    activation_checkpointing: bool = False
    """Recompute activations in scratchnet's step: less memory, up to a third more time (`scratchnet train --help`)."""
    compile: bool = False
    """Measure torch.compile as well; it needs a C++ compiler and some minutes."""
    device: DeviceName = "cpu"
    """gpu: compare with PyTorch on the same card, in float32, TF32 and bfloat16; --repeats then counts steps."""

    def whole_table(self) -> bool:
        """Return whether the models are ``all``, those of :mod:`benchmarks.harness.table_cases`.

        Raises
        ------
        UserError
            If other models, or settings that the table fixes, come with ``all``.
        """
        for name in self.model:
            if name not in (known := (*MODELS, MIRROR, ALL)):
                raise UserError(f"model '{name}' does not exist; choose one of: {', '.join(known)}")
        if ALL not in self.model:
            return False
        if len(self.model) > 1:
            raise UserError(f"--model {' '.join(self.model)}: 'all' stands alone; leave out the other models")
        fixed = {"size": self.size, "classes": self.classes, "batch": self.batch, **self.options()}
        given = [f"--{name.replace('_', '-')}" for name, value in fixed.items() if value not in (None, ())]
        if given:
            raise UserError(f"--model all: every network has its own settings; leave out {', '.join(given)}")
        return True


@dataclass(frozen=True)
class SegmentArguments(NetworkArguments):
    """Measure the segmentation of one large image (forward pass only): time, rate and peak memory.

    Default: bloodcell and vgg16-mirror on an image of 1024x1024.
    """


@dataclass(frozen=True)
class OpsArguments(BenchArguments):
    """Measure single operations, forward and backward: convolutions, pooling, batch norm, losses, updates."""

    names: Annotated[tuple[str, ...], Positional("[NAME…]")] = ()
    """Only operations whose name contains one of these words."""
    batch: int = 4
    """Images per batch."""


@dataclass(frozen=True)
class PeersArguments(OpsArguments):
    """Measure single operations compared with other libraries written in NumPy: DeZero and MyGrad, if installed."""

    batch: int = 1
    """Images per batch."""
