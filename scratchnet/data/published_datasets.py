"""Class names and weights of published data sets whose files do not contain them."""

VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The 21 classes of Pascal VOC in the order of its masks' palette (Everingham et al. 2010)."""

CAMVID_WEIGHTS = (0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614)
"""Weights of CamVid's 11 classes in the released training of SegNet (Badrinarayanan, Kendall and Cipolla 2017): sky,
building, pole, road, pavement, tree, sign, fence, car, pedestrian, bicyclist. They are called median-frequency weights,
but counts of the released masks give different weights for some classes: about 3.85 instead of 9.6446 for signs."""
