"""A network that starts where another one ended: the second stage of a training, or FCN-16s after FCN-32s."""

from pathlib import Path

from scratchnet.arrays import to_device_of
from scratchnet.network import Network
from scratchnet.training.checkpoints import load_network
from scratchnet.utils.errors import UserError


def load_matching_parameters(network: Network, path: Path | str) -> str:
    """Copy every number that a checkpoint has under the same name and in the same shape.

    Parameters
    ----------
    network : Network
        Allocated; layers that the checkpoint lacks keep their starting values.
    path : Path or str

    Returns
    -------
    str
        What was copied and what was not, as a line to print.

    Raises
    ------
    UserError
        When the file is no checkpoint, or nothing in it fits.
    """
    other = load_network(path)
    given, wanted = other.parameters(), network.parameters()
    fitting = [name for name in wanted if name in given and given[name].shape == wanted[name].shape]
    if not fitting:
        raise UserError(f"--start-from {path}: none of its layers fits this network; name a run of the same model")
    for name in fitting:
        wanted[name].value[...] = to_device_of(wanted[name].value, given[name].value)
    for name, buffer in network.state().items():
        known = other.state().get(name)
        if known is not None and known.value.shape == buffer.value.shape:
            buffer.value[...] = to_device_of(buffer.value, known.value)
    copied = sum(wanted[name].size for name in fitting)
    line = f"{copied:,} of {network.parameter_count():,} numbers start from {path}"
    fresh = list(dict.fromkeys(name.rpartition(".")[0] for name in wanted if name not in fitting))
    return line + (f"; as usual start: {', '.join(fresh)}" if fresh else "")
