"""The segmentation page as one HTML file: the runtime, the network, and the scripts that read and show images."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from scratchnet.utils.errors import UserError
from scratchnet.visualization.html import asset, hex_colour, page
from scratchnet.visualization.style import ROLES
from scratchnet.visualization.web_app.runtime import Runtime

WORKER_SCRIPTS = tuple(f"web_app/assets/{name}.js" for name in ("resize", "tiles", "objects", "worker"))
"""Scripts of the thread that runs the network, after the runtime."""

SCRIPTS = (
    "explorer/assets/elements.js",
    "live/assets/unpack.js",
    *(f"web_app/assets/{name}.js" for name in ("objects", "table", "png", "image", "network", "view", "app")),
)
"""Scripts of the page, in dependency order."""

MAX_MODEL = 200_000_000
"""Largest ONNX model in bytes: browsers limit the length of a text."""


def web_page(
    name: str,
    classes: Mapping[str, Sequence[int]],
    settings: Mapping[str, Any],
    model: bytes,
    runtime: Runtime,
    notes: Sequence[str] = (),
    kind: str = "segmentation page",
) -> str:
    """Return the HTML of the page.

    Parameters
    ----------
    name : str
        Name of the model.
    classes : mapping of str to (r, g, b)
        Colour of each class, from 0 to 255.
    settings : mapping
        See `web_settings`.
    model : bytes
        ONNX model from `scratchnet.interop.onnx_export.export_onnx`.
    runtime : Runtime
    notes : sequence of str
        Sentences for the page's head.
    kind : str
        Kind of file, by which a later command recognises files that it may replace.

    Raises
    ------
    UserError
        If the model has more than 200 MB.
    """
    content = _content(classes, settings, model, runtime)
    body = _body(name, tuple(classes), runtime.version, notes, content)
    script = '"use strict";\n' + "\n".join(map(asset, SCRIPTS))
    title = f"Segment images: {name}"
    return page(title, body, kind=kind, style=_style(), script=script, wasm_workers=True)


def _content(
    classes: Mapping[str, Sequence[int]], settings: Mapping[str, Any], model: bytes, runtime: Runtime
) -> dict[str, Any]:
    """Return the page's data."""
    if len(model) > MAX_MODEL:
        raise UserError(
            f"the network has {len(model) / 1e6:.0f} MB, and a page holds at most {MAX_MODEL / 1e6:.0f} MB; train a "
            "narrower one (--width) or a smaller model"
        )
    script = "\n".join([runtime.script, '"use strict";', *map(asset, WORKER_SCRIPTS)])
    return {
        "classes": [{"name": label, "colour": hex_colour(colour)} for label, colour in classes.items()],
        "settings": dict(settings),
        "worker": _packed(script.encode("utf-8")),
        "wasm": _packed(runtime.wasm),
        "model": _packed(model),
    }


def _body(name: str, classes: Sequence[str], version: str, notes: Sequence[str], content: Mapping[str, Any]) -> str:
    about = (
        f"The network, {name}, was trained to find {len(classes)} classes: {', '.join(classes)}. It assigns one of "
        "them to every pixel of an image, even if the image is unlike those of its training."
    )
    body = asset("web_app/assets/app.html")
    for place, text in {
        "TITLE": escape(f"Segment images: {name}"),
        "ABOUT": escape(about),
        "NOTES": "".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        "RUNTIME": f"onnxruntime-web {version}",
        "LICENCE": escape(asset("web_app/assets/licence.txt")),
        "DATA": json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/"),
    }.items():
        body = body.replace(f"[[{place}]]", text)
    return body


def _style() -> str:
    roles = "".join(f"--{role}:{colour};" for role, colour in ROLES.items())
    return f":root {{ {roles} }}\n{asset('web_app/assets/app.css')}"


def _packed(content: bytes) -> str:
    """Return base64 of the deflated bytes."""
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")
