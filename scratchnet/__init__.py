"""scratchnet: deconvolution networks for semantic segmentation, every layer written by hand.

Arrays are channels last. The same letters mean the same thing in every file:

======= ==========================================================
n       images in a batch
h, w    height and width of a map, in pixels
c       channels (``c_in`` and ``c_out`` where a layer changes them)
kh, kw  height and width of a kernel or pooling window
s, p, d stride, padding, dilation
oh, ow  height and width of an output map
======= ==========================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scratchnet.engine.modes import precise, textbook

if TYPE_CHECKING:
    from scratchnet.engine.capture.captured_network import CapturedNetwork
    from scratchnet.network import Network

__version__ = "0.1.0"
__all__ = ["compile", "precise", "textbook"]

PUBLIC = (
    "config",
    "data",
    "evaluation",
    "gradcheck",
    "inference",
    "interop",
    "layers",
    "layers.initialization",
    "losses",
    "measurement",
    "models",
    "network",
    "network.summary",
    "ops",
    "training",
    "visualization",
)
"""The public modules; ``docs/public.md`` lists what is public in each. Everything else may change without notice."""


def compile(network: "Network") -> "CapturedNetwork":
    """Return the network as one whose passes are captured once and then replayed, without Python in between.

    Parameters
    ----------
    network : Network
        A network with memory (:meth:`Network.allocate`). It may still be changed: any change leads to a new capture.

    Returns
    -------
    CapturedNetwork
        Its ``forward`` and ``backward`` give results that are bitwise equal to those of the network.
    """
    from scratchnet.engine.capture.captured_network import CapturedNetwork

    return CapturedNetwork(network)


def __getattr__(name: str) -> Any:
    """Import a public module on first access, so that ``import scratchnet`` alone is quick."""
    if name in PUBLIC:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'; its modules are {', '.join(PUBLIC)}")


def __dir__() -> list[str]:
    """Return the names of the module, the public modules included."""
    return sorted({*globals(), *(name.partition(".")[0] for name in PUBLIC)})
