"""Counts and measurements of the objects in class masks."""

from scratchnet.measurement.properties import measure_objects
from scratchnet.measurement.separation import Separated, Separation, separate_objects
from scratchnet.measurement.splitting import split_regions

__all__ = ["Separated", "Separation", "measure_objects", "separate_objects", "split_regions"]
