"""Recomputing batch norm's statistics over a data set.

The running averages of a training are averages over past batches, computed with past weights. After a short training,
or one with batches of a single image, they fit the final weights badly, and the network fails at test time although it
did well in training. SegNet's authors therefore run the finished network over the training set once more and average
the means and variances of all batches (``compute_bn_statistics`` in their release).

A mean over random batches hardly improves after a few hundred of them, and a set of boxes may have hundreds of
thousands: DeconvNet's second stage sees each of its boxes about once in the whole training. A run therefore uses at
most :data:`MAX_BATCHES` batches, or one pass over the set if that is less.
"""

from collections.abc import Iterable

from scratchnet.arrays import Array, get_array_module, to_device_of
from scratchnet.network import Network
from scratchnet.training.distributed.sharing import forward_without_images

MAX_BATCHES = 256
"""Maximum number of batches that a run averages over."""


def recalibrate(network: Network, batches: Iterable[Array]) -> int:
    """Replace the running statistics, unless frozen, by the mean of the batches' means and variances.

    Parameters
    ----------
    network : Network
        Left in evaluation mode, with running statistics in use.
    batches : iterable of (n, h, w, c)
        Preprocessed images, batched as in training; n is 0 if other processes have all images of a batch.

    Returns
    -------
    int
        Number of batches averaged.
    """
    layers = {name: norm for name, norm in network.eval().batch_norms().items() if not norm.frozen}
    for layer in layers.values():
        layer.use_statistics("batch")
    like = network.flat().values
    xp = get_array_module(like)
    totals = {name: [xp.zeros(layer.channels), xp.zeros(layer.channels)] for name, layer in layers.items()}
    count = 0
    for x in batches:
        if len(x):
            network.forward(to_device_of(like, x), keep=False)
        else:  # other processes have all images of this batch
            forward_without_images(network)
        for name, layer in layers.items():
            assert layer.last is not None  # set by the forward pass
            totals[name][0] += layer.last[0]
            totals[name][1] += layer.last[1]
        count += 1
    network.use_statistics("running")
    for name, layer in layers.items():
        if count:
            layer.buffers["running_mean"].value[...] = totals[name][0] / count
            layer.buffers["running_var"].value[...] = totals[name][1] / count
    return count
