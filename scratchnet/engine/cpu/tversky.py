"""The Tversky loss class by class; see ``overlap``."""

from scratchnet.arrays import AllReduce, Array
from scratchnet.engine.cpu.overlap import logits_gradient, predictions_and_truth
from scratchnet.ops.overlap import sums_over_processes


def tversky_loss(
    logits: Array,
    labels: Array,
    factors: Array,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
    allreduce: AllReduce | None = None,
) -> tuple[float, Array]:
    """Return the Tversky loss over the batch and its gradient with respect to the logits."""
    scalar = logits.dtype.type
    p, t = predictions_and_truth(logits, labels, factors)
    (hits, predicted, true), processes = sums_over_processes([a.sum(axis=1) for a in (p * t, p, t)], allreduce)
    both = scalar(1 - alpha - beta)
    over = hits + scalar(smooth)
    under = both * hits + scalar(alpha) * predicted + scalar(beta) * true + scalar(smooth)
    loss = (1 - float((over / under).mean())) / processes
    dp = ((over / under**2)[:, None] * (both * t + scalar(alpha)) - t / under[:, None]) / scalar(len(under))
    return loss, logits_gradient(dp, p, logits)
