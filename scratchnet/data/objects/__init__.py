"""Objects in images: their pixels, their boxes, and DeconvNet's training boxes."""
