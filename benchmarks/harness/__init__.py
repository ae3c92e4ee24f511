"""Measuring: how long a step or an operation takes, beside PyTorch on the same cores, and how much memory it needs.

==================== ==================================================================================
``timing``           contestants take turns, in blocks; medians with spread
``machine``          processor, cores, versions, date
``ceiling``          the fastest matrix product of the run, which every rate is compared with
``cases``            which networks are measured, at which sizes
``torch_twin``       a network's list of steps, run by PyTorch
``contestants``      a training step here, and PyTorch's
``agreement``        do they compute the same?
``step``             whole training steps, timed
``segment``          forward passes of a large image, timed
``problems``         which single operations are measured
``our_ops``          how scratchnet does them
``torch_ops``        how PyTorch does them
``ops``              single operations, timed
``peers``            the same beside other NumPy libraries
``peak``             peak memory, each contestant in a process of its own
``processes``        processor time and memory of this process and its children
``results``          rows, ratios, the table and the JSON file
``session``          what all rows of a run share
==================== ==================================================================================

PyTorch is optional: without it the same commands measure scratchnet alone.
"""
