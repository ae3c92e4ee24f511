"""The Dice loss class by class; see ``overlap``."""

from scratchnet.arrays import AllReduce, Array
from scratchnet.engine.cpu.overlap import logits_gradient, predictions_and_truth
from scratchnet.ops.overlap import sums_over_processes


def dice_loss(
    logits: Array, labels: Array, factors: Array, smooth: float = 1.0, allreduce: AllReduce | None = None
) -> tuple[float, Array]:
    """Return the Dice loss over the batch and its gradient with respect to the logits."""
    p, t = predictions_and_truth(logits, labels, factors)
    sums = 2 * (p * t).sum(axis=1), p.sum(axis=1) + t.sum(axis=1)
    (overlap, total), processes = sums_over_processes(sums, allreduce)
    overlap, total = overlap + logits.dtype.type(smooth), total + logits.dtype.type(smooth)
    loss = (1 - float((overlap / total).mean())) / processes
    dp = ((overlap / total**2)[:, None] - (2 / total)[:, None] * t) / logits.dtype.type(len(total))
    return loss, logits_gradient(dp, p, logits)
