"""Segmentation page: a web page that segments images with a trained network, in onnxruntime-web's WebAssembly."""

from scratchnet.visualization.web_app.content import web_settings
from scratchnet.visualization.web_app.page import web_page
from scratchnet.visualization.web_app.runtime import COMMAND, Runtime, find_runtime

__all__ = ["COMMAND", "Runtime", "find_runtime", "web_page", "web_settings"]
