"""The explorer page as one HTML file: a skeleton, the data, and the scripts that fill it."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from scratchnet.visualization.html import asset, page
from scratchnet.visualization.style import ROLES

SCRIPTS = ("elements", "data", "fields", "trail", "pictures", "network", "words", "steps", "explorer")
"""Scripts of the page, in dependency order."""

BOXES = "Each box is a layer of the network, represented by one of its maps"
HOURGLASS = (
    ": the encoder on the left shrinks the image, the decoder on the right enlarges it until every pixel has a class."
)
FLAT = ", from the image to the class of every pixel."
POINT = (
    "Point at any pixel, or tap it: frames mark its receptive field in the earlier layers and the pixels that it "
    "influences in the later ones."
)


def explorer_page(title: str, notes: Sequence[str], content: Mapping[str, Any], kind: str = "explorer page") -> str:
    """Return the explorer page as HTML.

    Parameters
    ----------
    title : str
        Title of the page.
    notes : sequence of str
        Sentences about the parts of the image that the page omits.
    content : mapping
        See `content`.
    """
    two_sided = {"down", "up"} <= {layer["part"] for layer in content["layers"]}
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    body = _asset("page.html")
    for place, text in {
        "TITLE": escape(title),
        "INTRODUCTION": f"{BOXES}{HOURGLASS if two_sided else FLAT} {POINT}",
        "NOTES": "".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        "DATA": data,
    }.items():
        body = body.replace(f"[[{place}]]", text)
    script = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    roles = "".join(f"--{role}:{colour};" for role, colour in ROLES.items())
    return page(
        title,
        body,
        kind=kind,
        style=f":root {{ {roles} }}\n{_asset('explorer.css')}",
        script=f'"use strict";\n{script}',
    )


def _asset(name: str) -> str:
    return asset(f"explorer/assets/{name}")
