"""Benchmark harness: time and memory of training steps and single operations, compared with PyTorch on the same cores.

======================== ==============================================================================
``command``              the subcommands of ``scratchnet bench``
``arguments``            their options
``session``              settings shared by all measurements of a run
``timing``               interleaved timing in blocks; medians with quartiles
``machine``              processor, cores, library versions, date
``gemm``                 peak rate of a matrix product, which all other rates are compared with
``network_cases``        networks, image sizes and batch sizes to measure
``table_cases``          those of ``bench step --model all``
``torch_network``        a scratchnet network executed by PyTorch
``implementations``      training step and forward pass, in scratchnet and in PyTorch
``agreement``            checks that both compute the same
``step``                 training steps, timed
``segment``              forward passes of a large image, timed
``op_cases``             single operations to measure
``scratchnet_ops``       their implementation in scratchnet
``torch_ops``            their implementation in PyTorch
``numpy_libraries``      their implementation in other NumPy libraries
``ops``                  single operations, timed
``memory``               peak memory, each implementation in its own process
``processes``            processor time and memory of this process and its children
``gpu``                  training steps on a GPU, timed
``step_results``         values of a GPU step that are compared between implementations
``gpu_results``          table and JSON file of the GPU measurements
``report``               table and JSON file of all other measurements
======================== ==============================================================================

PyTorch is optional. Without it, the same commands measure scratchnet alone.
"""
