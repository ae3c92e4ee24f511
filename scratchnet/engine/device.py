"""Select the CPU or a GPU.

All arrays of a network are on one device, and so are the results computed from them. Only
:func:`scratchnet.arrays.to_host` and ``Network.to`` copy between devices; there are no implicit copies.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Literal, TypeAlias

import numpy as np

from scratchnet.engine.modes import MatrixPrecision, matrix_precision
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

DeviceName: TypeAlias = Literal["cpu", "gpu"]


def array_module(device: DeviceName, process: int = 0) -> ModuleType:
    """Return the module for arrays on a device: NumPy or CuPy.

    Parameters
    ----------
    device : "cpu" or "gpu"
    process : int
        Local rank of this process among those of a group on its machine; GPUs are assigned round-robin.

    Raises
    ------
    UserError
        If CuPy is not installed or cannot use a GPU.
    """
    if device == "cpu":
        return np
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise _unusable(error) from error
        raise UserError(
            f"{option('device', 'gpu')}: needs CuPy, which is not installed; "
            'pip install "cupy-cuda12x[ctk]" for CUDA 12, or '
            '"cupy-cuda13x[ctk]" for CUDA 13'
        ) from error
    except ImportError as error:  # a CUDA library is missing
        raise _unusable(error) from error
    module: ModuleType = cupy
    _use_gpu(module, process)
    return module


def _use_gpu(cupy: ModuleType, process: int) -> None:
    """Select a GPU for this process, and check that it works."""
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if count == 0:
            gpu = option("device", "gpu")
            raise UserError(f"{gpu}: this machine has no GPU that CUDA can use; leave out {gpu}")
        if process:
            cupy.cuda.Device(process % count).use()
        cupy.ones(1)  # allocates memory, and compiles a kernel
        cupy.cuda.get_cublas_handle()
    except UserError:
        raise
    except Exception as error:  # no driver, no memory, a missing library: CuPy raises many types of errors
        raise _unusable(error) from error


@contextmanager
def computing(device: DeviceName, precision: MatrixPrecision = "float32", process: int = 0) -> Iterator[ModuleType]:
    """Yield the module of a device's arrays, and use ``precision`` for float32 matrix products inside this block.

    Raises
    ------
    UserError
        For the reasons given for :func:`array_module`, or if the device does not support the precision.
    """
    if precision != "float32" and device == "cpu":
        raise UserError(
            f"{option('precision', precision)}: is for {option('device', 'gpu')}; a CPU multiplies in float32"
        )
    with matrix_precision(precision):
        yield array_module(device, process)


_REMEDIES = (
    (
        "InsufficientDriver",
        "the driver is missing, or older than CuPy's CUDA: nvidia-smi names the driver's; install cupy-cuda12x[ctk] or "
        "cupy-cuda13x[ctk] to match",
    ),
    ("SystemDriverMismatch", "the driver was updated while it was in use: start the machine again"),
    ("libcuda.so", "NVIDIA's driver is missing: install it"),
    ("Failure finding", 'a library of CUDA is missing: pip install "cupy-cuda12x[ctk]", or cupy-cuda13x[ctk]'),
    (
        "cannot open shared object",
        'a library of CUDA is missing: pip install "cupy-cuda12x[ctk]", or cupy-cuda13x[ctk]',
    ),
    ("gpu-architecture", "the GPU is newer than CuPy's CUDA: install a newer CuPy"),
    ("NoKernelImage", "CuPy was not built for this GPU: install another CuPy"),
    ("ut of memory", "its memory is taken: nvidia-smi shows by whom"),
)
"""Parts of CuPy's messages, and the remedy for each."""


def _unusable(error: Exception) -> UserError:
    message = str(error).partition("Original error:")[2] or str(error)  # CuPy adds a page of advice before it
    lines = [line.strip() for line in message.splitlines() if line.strip(" =")]
    reason = lines[0] if lines else type(error).__name__
    advice = [f"{remedy}; or" for words, remedy in _REMEDIES if words in str(error)][:1]
    gpu = option("device", "gpu")
    remedy = " ".join([*advice, f"leave out {gpu}"])
    return UserError(f"{gpu}: CuPy is installed, but cannot use a GPU here ({reason}); {remedy}")
