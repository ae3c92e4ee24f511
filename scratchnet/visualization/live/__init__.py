"""Live page: a web page in which the network runs, so that every layer follows changes of the image."""

from scratchnet.visualization.live.content import live_content, live_size
from scratchnet.visualization.live.input_transform import InputTransform, input_transform
from scratchnet.visualization.live.page import LivePage, live_page
from scratchnet.visualization.live.steps import check_layers

__all__ = [
    "InputTransform",
    "LivePage",
    "check_layers",
    "input_transform",
    "live_content",
    "live_page",
    "live_size",
]
