"""Earlier names of settings, so that an old command line or TOML file is answered with the name to use now."""

RENAMED = {
    "accumulate": "gradient_accumulation",
    "bias_rate": "bias_lr_multiplier",
    "bn": "bn_statistics",
    "context": "box_context",
    "empty": "background_crops",
    "every": "lr_step_epochs",
    "every_updates": "lr_step_updates",
    "factor": "lr_decay",
    "gpu_sums": "allreduce",
    "least_object": "min_object_size",
    "least_overlap": "min_iou",
    "max_boxes": "max_proposals",
    "mirror": "flip",
    "mixed_statistics": "per_image_bn",
    "recompute": "activation_checkpointing",
    "validation": "val_fraction",
}
"""Old name: new name, as keys of a TOML file; flags are spelt alike, with hyphens."""
