"""Explorer: a web page that traces a pixel through a network."""

from scratchnet.visualization.explorer.content import content
from scratchnet.visualization.explorer.image_crop import ImageCrop, crop_image
from scratchnet.visualization.explorer.page import explorer_page

__all__ = ["ImageCrop", "content", "crop_image", "explorer_page"]
