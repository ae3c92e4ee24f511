"""The exception for users' errors, and the one-line messages that the command line prints for exceptions."""

import errno

from scratchnet.utils.options import option

MAX_LENGTH = 1200
"""Maximum length of a message; longer ones contain an absurd file name or setting, and are cut in the middle."""


class UserError(Exception):
    """An error that the user can correct: a file, a folder or a setting.

    The message is one line that names the file or setting, what it is, what was expected, and what to do.
    """


def explain(error: BaseException) -> str | None:
    """Return a one-line message for an error, or None if only a programmer can correct it."""
    if isinstance(error, UserError):
        message = str(error)
    elif _is_out_of_gpu_memory(error):
        message = (
            f"the GPU does not have enough memory ({error}); train with a smaller {option('batch_size')} (and "
            f"{option('gradient_accumulation')}) or with {option('activation_checkpointing')}, segment with a smaller "
            f"{option('tile')}, or stop other programs that use the GPU"
        )
    elif isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        words = error.strerror if isinstance(error, OSError) else str(error)
        message = f"not enough memory{f' ({words})' if words else ''}; use smaller batches, tiles or images"
    elif isinstance(error, OSError):  # such as a folder without permission, or a removed drive
        message = f"{error.filename or 'the system'}: {error.strerror or error}"
    elif isinstance(error, ValueError) and "null byte" in str(error):  # Python's message for paths
        message = "a path contains a NUL character; check the names of files and folders"
    else:
        return None
    line = " ".join(message.split())
    return line if len(line) <= MAX_LENGTH else f"{line[: MAX_LENGTH // 2]} … {line[-MAX_LENGTH // 2 :]}"


_OUT_OF_MEMORY = (
    "OutOfMemoryError",
    "cudaErrorMemoryAllocation",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def _is_out_of_gpu_memory(error: BaseException) -> bool:
    """Return whether an error is one of CuPy's for a lack of GPU memory."""
    kind = type(error)
    return kind.__module__.startswith("cupy") and any(word in f"{kind.__name__} {error}" for word in _OUT_OF_MEMORY)
