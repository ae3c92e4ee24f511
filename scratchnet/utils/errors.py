"""The one exception that the command line turns into one line, and what that line says of others."""

import errno

from scratchnet.utils.options import option

MAX_LENGTH = 1200
"""Characters of a message; longer ones repeat an absurd file name or setting, and lose their middle."""


class UserError(Exception):
    """Something that the person at the keyboard can put right: a file, a folder or a setting.

    The message is one line that names the file or setting, says what came and what was expected, and what to do.
    """


def explain(error: BaseException) -> str | None:
    """Return what went wrong as one line, or None for what only a programmer can put right."""
    if isinstance(error, UserError):
        message = str(error)
    elif _is_full(error):
        message = (
            f"the GPU has not enough memory ({error}); train with a smaller {option('batch_size')} (and "
            f"{option('gradient_accumulation')}) or with {option('activation_checkpointing')}, segment with a smaller "
            f"{option('tile')}, or stop what else uses the GPU"
        )
    elif isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        words = error.strerror if isinstance(error, OSError) else str(error)
        message = f"not enough memory{f' ({words})' if words else ''}; use smaller batches, tiles or images"
    elif isinstance(error, OSError):  # a folder that may not be entered, a drive that was pulled out
        message = f"{error.filename or 'the system'}: {error.strerror or error}"
    elif isinstance(error, ValueError) and "null byte" in str(error):  # Python's message for paths
        message = "a path contains a NUL character; check the names of files and folders"
    else:
        return None
    line = " ".join(message.split())
    return line if len(line) <= MAX_LENGTH else f"{line[: MAX_LENGTH // 2]} … {line[-MAX_LENGTH // 2 :]}"


_FULL = ("OutOfMemoryError", "cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED")


def _is_full(error: BaseException) -> bool:
    """Return whether an error is one of CuPy's, whose names only CuPy has, that say so of a GPU's memory."""
    kind = type(error)
    return kind.__module__.startswith("cupy") and any(word in f"{kind.__name__} {error}" for word in _FULL)
