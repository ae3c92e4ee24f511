"""The objects of an image: their pixels, their boxes, and DeconvNet's training boxes."""
