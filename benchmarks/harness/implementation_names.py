"""The contestants' names, as they stand in the table and in the file."""

OURS, TORCH, CHANNELS_LAST, COMPILED = "scratchnet", "torch", "torch channels_last", "torch.compile"
LAYOUTS = (TORCH, CHANNELS_LAST)
"""PyTorch with its default layout (n, c, h, w), and with channels last in memory."""
