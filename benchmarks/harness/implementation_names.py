"""Names of the implementations in the table and in the JSON file."""

SCRATCHNET, TORCH, CHANNELS_LAST, COMPILED = "scratchnet", "torch", "torch channels_last", "torch.compile"
LAYOUTS = (TORCH, CHANNELS_LAST)
"""PyTorch with its default memory layout (n, c, h, w), and with channels last."""
