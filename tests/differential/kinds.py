"""All kinds of cases: how one is drawn, and how it is checked."""

from tests.differential import convolutions, elementwise, losses, networks, passes, pooling, refusals

KINDS = {
    "conv2d": (convolutions.conv2d_cases, convolutions.check_conv2d),
    "conv_transpose2d": (convolutions.conv_transpose2d_cases, convolutions.check_conv_transpose2d),
    "max_pool2d": (pooling.max_pool2d_cases, pooling.check_max_pool2d),
    "batch_norm": (elementwise.batch_norm_cases, elementwise.check_batch_norm),
    "local_response_norm": (elementwise.local_response_norm_cases, elementwise.check_local_response_norm),
    "activation": (elementwise.activation_cases, elementwise.check_activation),
    "resampling": (elementwise.resampling_cases, elementwise.check_resampling),
    "arrangement": (elementwise.arrangement_cases, elementwise.check_arrangement),
    "loss": (losses.loss_cases, losses.check_loss),
    "refusal": (refusals.refusal_cases, refusals.check_refusal),
    "network": (networks.network_cases, passes.check_network),
}
"""kind → (strategy of a case, a dict that JSON can hold; check that raises an AssertionError)"""
