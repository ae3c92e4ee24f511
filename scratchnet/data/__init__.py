"""Data sets of images and masks: reading, checking, generating, augmenting, tiling and batching them."""

from scratchnet.data.array_source import ArraySource
from scratchnet.data.augmentation import Augmentation, augment
from scratchnet.data.border_weights import BorderWeights
from scratchnet.data.checks.data_set import check_dataset
from scratchnet.data.checks.report import CheckReport
from scratchnet.data.folders import Dataset, open_dataset, split_dataset
from scratchnet.data.frequencies import ClassCounts, class_frequencies, median_frequency_weights
from scratchnet.data.generated.cells import CELL_CLASSES, CellTask, make_cells
from scratchnet.data.generated.generators import GeneratedKind, generate, generate_scene, write_generated
from scratchnet.data.generated.shapes import SHAPE_CLASSES, Scene, make_shapes
from scratchnet.data.generated.squares import SQUARE_CLASSES, make_square
from scratchnet.data.images import IMAGE_SUFFIXES, ValueRange, image_size, read_image, write_image
from scratchnet.data.layouts import Layout, Sample, available_splits
from scratchnet.data.loading import epoch_batches, prefetch, shard_slice
from scratchnet.data.masks import MaskFormat, read_mask, write_mask
from scratchnet.data.objects.box_annotations import BOXES_FILE, ObjectBox, group_by_image, read_boxes, write_boxes
from scratchnet.data.objects.components import bounding_boxes, connected_components
from scratchnet.data.objects.curriculum import BoxDataset, Curriculum, training_boxes, validation_boxes
from scratchnet.data.objects.separation import Objects, find_objects
from scratchnet.data.palette import PALETTE
from scratchnet.data.preprocessing import Normalization, Preprocessing, fit_preprocessing
from scratchnet.data.published_datasets import CAMVID_WEIGHTS, VOC_CLASSES
from scratchnet.data.resizing import resize_image, resize_mask, resized
from scratchnet.data.sample_source import SampleSource
from scratchnet.data.samples import sample_folder
from scratchnet.data.tiling import Window, stitch, tile_grid, tiled

__all__ = [
    "BOXES_FILE",
    "CAMVID_WEIGHTS",
    "CELL_CLASSES",
    "IMAGE_SUFFIXES",
    "PALETTE",
    "SHAPE_CLASSES",
    "SQUARE_CLASSES",
    "VOC_CLASSES",
    "ArraySource",
    "Augmentation",
    "BorderWeights",
    "BoxDataset",
    "CellTask",
    "CheckReport",
    "ClassCounts",
    "Curriculum",
    "Dataset",
    "GeneratedKind",
    "Layout",
    "MaskFormat",
    "Normalization",
    "ObjectBox",
    "Objects",
    "Preprocessing",
    "Sample",
    "SampleSource",
    "Scene",
    "ValueRange",
    "Window",
    "augment",
    "available_splits",
    "bounding_boxes",
    "check_dataset",
    "class_frequencies",
    "connected_components",
    "epoch_batches",
    "find_objects",
    "fit_preprocessing",
    "generate",
    "generate_scene",
    "group_by_image",
    "image_size",
    "make_cells",
    "make_shapes",
    "make_square",
    "median_frequency_weights",
    "open_dataset",
    "prefetch",
    "read_boxes",
    "read_image",
    "read_mask",
    "resize_image",
    "resize_mask",
    "resized",
    "sample_folder",
    "shard_slice",
    "split_dataset",
    "stitch",
    "tile_grid",
    "tiled",
    "training_boxes",
    "validation_boxes",
    "write_boxes",
    "write_generated",
    "write_image",
    "write_mask",
]
