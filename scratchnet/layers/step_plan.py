"""Instructions of a network to one of its layers: the work to share with neighbours, and the memory to reuse.

A layer by itself must assume that its input, its output and every gradient are also used elsewhere. The network knows
whether they are. :func:`scratchnet.network.fusion.plan` makes one :class:`StepPlan` for every step, and the network
passes it to the layer's ``forward`` as the last argument. The layer saves the part of it that ``backward`` needs.

A reader who wants the mathematics alone can skip this: with the default plan, every layer computes its formula.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepPlan:
    """Work and memory that one layer shares with its neighbours; by default none.

    Attributes
    ----------
    fuse_relu : bool
        Batch norm, or outside training a convolution, also computes the ReLU that follows it.
    normalized_by : int or None
        Number of the batch norm with fixed statistics that a convolution also computes.
    skip : bool
        The network does not run this layer: the ReLU was computed by the preceding batch norm, ReLU and batch norm by
        the preceding convolution, or the upsampling will be computed by the following convolution.
    in_place : bool
        ReLU overwrites its input with its output.
    overwrite_input : bool
        Batch norm may subtract the mean from its input in place.
    overwrite_gradient : bool
        Batch norm computes dx in the memory of dy.
    skip_bias_gradient : bool
        The batch norm that follows a convolution cancels the bias, so its gradient is 0.
    leave_mask_to_pool : bool
        The max-pooling that follows a ReLU (fused into batch norm or not) applies the ReLU's backward pass.
    apply_relu_mask : bool
        Max-pooling applies the backward pass of the ReLU before it.
    recompute_output : bool
        ``recompute_output`` will be called between ``forward`` and ``backward``.
    upsamples : bool
        A convolution also repeats the pixels of its input 2×2 times; the layer before it, which does that, is skipped.
    input_from : int or None
        Number of the step that recomputes the input of a convolution, which does not save it. Its ``restore_input`` is
        called before ``backward``.
    output_unsaved : bool
        No layer saves the output for a backward pass.
    """

    fuse_relu: bool = False
    normalized_by: int | None = None
    skip: bool = False
    in_place: bool = False
    overwrite_input: bool = False
    overwrite_gradient: bool = False
    skip_bias_gradient: bool = False
    leave_mask_to_pool: bool = False
    apply_relu_mask: bool = False
    recompute_output: bool = False
    upsamples: bool = False
    input_from: int | None = None
    output_unsaved: bool = False

    @property
    def makes_no_array(self) -> bool:
        """Whether the output needs no memory of its own: it is the input's array."""
        return self.skip or self.in_place


ALONE = StepPlan()
"""The plan of a layer that does everything itself."""
