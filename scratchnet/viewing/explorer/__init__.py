"""The explorer: one web page in which a pixel can be followed through a network."""

from scratchnet.viewing.explorer.content import content
from scratchnet.viewing.explorer.page import explorer_page
from scratchnet.viewing.explorer.view import View, prepare

__all__ = ["View", "content", "explorer_page", "prepare"]
