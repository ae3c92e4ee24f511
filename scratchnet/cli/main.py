"""The entry point of the command line: runs a command and turns errors of the user into one line."""

import importlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence

from scratchnet import __version__
from scratchnet.engine.memory.system import keep_freed_memory
from scratchnet.utils.errors import UserError, explain
from scratchnet.utils.options import named_as_flags
from scratchnet.utils.process_limits import keep_blas_within_limits
from scratchnet.utils.signals import Terminated
from scratchnet.utils.signatures import overwriting
from scratchnet.utils.spelling import closest_name
from scratchnet.utils.terminal import exit_code, lasting_output

COMMANDS = {
    "demo": "train a small DeconvNet on generated blood cells, about a minute",
    "train": "train a network on a folder of images and masks",
    "evaluate": "evaluate a trained network on images with masks",
    "segment": "make masks for images of any size",
    "measure": "count and measure the objects in masks or images, as a table",
    "explain": "write a web page for following a pixel through the network",
    "export": "write a trained network as an ONNX file",
    "models": "list the models, or print one model's table",
    "gradcheck": "compare every gradient with numerical differences",
    "exercise": "exercises that check themselves: write stubs, check answers, grade a class",
    "bench": "measure time and memory, compared with PyTorch if it is installed",
    "data": "make, import or check a data set, compute class weights, or choose images to label",
    "completion": "print a completion script for the shell (bash, zsh, fish)",
}

MAX_THREADS = 256
"""Largest number of threads accepted; with a thousand, a typing error, an epoch takes longer than with one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str or None
        Words after the program's name; None takes those of the process.

    Returns
    -------
    int
        0; 1 if a check failed; 2 after an error of the user; 130 after Ctrl-C; 143 after SIGTERM; 141 if the output
        pipe was closed.
    """
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    with lasting_output() as files, named_as_flags():
        try:
            return exit_code(_main(words), files)
        except SystemExit:  # after a command's --help
            if code := exit_code(0, files):
                return code
            raise


def _main(words: Sequence[str]) -> int:
    """Run a command; report errors that the user can correct in one line."""
    try:
        if words[0] == "help":  # `scratchnet help train`
            words = [*words[1:], "--help"]
        if words[0] in ("-h", "--help", "-V", "--version"):
            print(usage() if "h" in words[0] else f"scratchnet {__version__}")
            return 0
        return _run(words[0], words[1:])
    except KeyboardInterrupt as stop:
        print(f"\nscratchnet: {str(stop) or 'interrupted'}", file=sys.stderr)
        return stop.exit_code if isinstance(stop, Terminated) else 130
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        print(f"scratchnet: error: {message}", file=sys.stderr)
        return 2


def _run(name: str, words: Sequence[str]) -> int:
    """Import one command and run it."""
    if name.startswith("-"):
        raise UserError(f"{name}: options go after the command, as in `scratchnet train {name} …`")
    if name not in COMMANDS:
        guess = closest_name(name, COMMANDS)
        raise UserError(f"'{name}' is no command{guess}; choose one of: {', '.join(COMMANDS)}")
    keep_freed_memory()
    keep_blas_within_limits()
    # Pillow warns of images above 89 megapixels (it refuses those above 179 itself) and of odd tags in sound images.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    # Matplotlib warns if its configuration folder cannot be written.
    logging.getLogger("matplotlib").addHandler(logging.NullHandler())
    rest = _set_threads(words)
    if name != "bench":  # it has the flag itself
        words = rest
    kept = [word for word in words if word != "--overwrite"]
    command = importlib.import_module(f"scratchnet.cli.{name}")
    import numpy as np

    # The commands report values that are not finite; NumPy's warnings would name a line of the source.
    with overwriting(len(kept) < len(words)), np.errstate(all="ignore"):
        return int(command.main(kept))


def _set_threads(words: Sequence[str]) -> list[str]:
    """Apply ``--threads N`` and return the other words."""
    rest, flag, variable = list(words), "--threads", "SCRATCHNET_THREADS"
    for place, word in enumerate(rest):
        name, equals, value = word.partition("=")
        if name == flag:
            value = value if equals else next(iter(rest[place + 1 :]), "nothing")
            _check_threads(flag, value)
            os.environ[variable] = value
            del rest[place : place + (1 if equals else 2)]
            break
    if value := os.environ.get(variable, ""):
        _check_threads(variable, value)
    return rest


def _check_threads(name: str, value: str) -> None:
    if not (re.fullmatch("[0-9]{1,5}", value) and 1 <= int(value) <= MAX_THREADS):
        raise UserError(f"{name} {value}: expected the number of cores to use, 1 to {MAX_THREADS}")


def usage() -> str:
    """Return the overview of the commands."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {about}" for name, about in COMMANDS.items())
    return (
        "usage: scratchnet COMMAND …\n\n"
        "Deconvolution networks for semantic segmentation, every layer written by hand.\n\n"
        f"commands:\n{lines}\n\nSee `scratchnet COMMAND --help` for details; `scratchnet demo` is a good start.\n"
        "`--threads N` after any command (or the variable SCRATCHNET_THREADS) sets the number of cores to use.\n"
        "`--overwrite` after any command lets it replace existing files that it did not write itself."
    )
