"""The explorer: one web page in which a pixel can be followed through a network."""

from scratchnet.visualization.explorer.content import content
from scratchnet.visualization.explorer.page import explorer_page
from scratchnet.visualization.explorer.view import View, prepare

__all__ = ["View", "content", "explorer_page", "prepare"]
