"""Start a network from another one's parameters: the second stage of a training, or FCN-16s after FCN-32s."""

from pathlib import Path

from scratchnet.arrays import to_device_of
from scratchnet.network import Network
from scratchnet.training.checkpoints import load_network
from scratchnet.utils.errors import UserError


def load_matching_parameters(network: Network, path: Path | str) -> str:
    """Copy all parameters and statistics that a checkpoint has with the same name and shape.

    Parameters
    ----------
    network : Network
        Allocated; parameters that the checkpoint lacks keep their values.
    path : Path or str

    Returns
    -------
    str
        A line to print: how many parameters were copied, and which layers were not found.

    Raises
    ------
    UserError
        When the file is no checkpoint, or no parameter matches.
    """
    other = load_network(path)
    given, wanted = other.parameters(), network.parameters()
    matching = [name for name in wanted if name in given and given[name].shape == wanted[name].shape]
    if not matching:
        raise UserError(f"{path}: none of its layers fits this network; name a run of the same model")
    for name in matching:
        wanted[name].value[...] = to_device_of(wanted[name].value, given[name].value)
    for name, buffer in network.state().items():
        known = other.state().get(name)
        if known is not None and known.value.shape == buffer.value.shape:
            buffer.value[...] = to_device_of(buffer.value, known.value)
    copied = sum(wanted[name].size for name in matching)
    line = f"{copied:,} of {network.parameter_count():,} parameters start from {path}"
    missing = list(dict.fromkeys(name.rpartition(".")[0] for name in wanted if name not in matching))
    return line + (f"; not in it: {', '.join(missing)}" if missing else "")
