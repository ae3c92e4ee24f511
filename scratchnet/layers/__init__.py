"""Layers: the functions of ``ops`` with parameters and saved values for the backward pass."""

from scratchnet.layers.activation import Dropout, LeakyReLU, ReLU, Scale
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.convolution import Conv2d, ConvTranspose2d
from scratchnet.layers.description import InputInfo, LayerKind
from scratchnet.layers.group_norm import GroupNorm
from scratchnet.layers.normalization import BatchNorm2d, LocalResponseNorm
from scratchnet.layers.parameter import Buffer, Parameter, ParameterKind
from scratchnet.layers.pooling import MaxPool2d, MaxUnpool2d
from scratchnet.layers.resampling import BedOfNails, BilinearTranspose2d, UpsampleBilinear, UpsampleNearest
from scratchnet.layers.shape import Add, Concatenate, Crop, Pad
from scratchnet.layers.synchronized import SyncBatchNorm2d
from scratchnet.layers.window import Window

__all__ = [
    "Add",
    "BatchNorm2d",
    "BedOfNails",
    "BilinearTranspose2d",
    "Buffer",
    "Concatenate",
    "Conv2d",
    "ConvTranspose2d",
    "Crop",
    "Dropout",
    "GroupNorm",
    "InputInfo",
    "Layer",
    "LayerKind",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool2d",
    "MaxUnpool2d",
    "Pad",
    "Parameter",
    "ParameterKind",
    "ReLU",
    "Scale",
    "Shape",
    "SyncBatchNorm2d",
    "UpsampleBilinear",
    "UpsampleNearest",
    "Window",
]
