"""The explorer page as one HTML file: a skeleton, the data, and the scripts that fill it."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from scratchnet.viewing.html import asset, page
from scratchnet.viewing.style import ROLES

SCRIPTS = ("data", "fields", "trail", "pictures", "network", "words", "steps", "explorer")
"""In the order in which they need each other."""

BOXES = "Every box is a layer of the network, shown by one of its maps"
HOURGLASS = ": on the left the image becomes smaller, on the right larger again, until every pixel has a class."
FLAT = ", from the image to the class of every pixel."
POINT = (
    "Point at any pixel, or tap it: frames mark what it is made from in the layers before, and what it has a part in "
    "behind."
)


def explorer_page(title: str, notes: Sequence[str], content: Mapping[str, Any], kind: str = "explorer page") -> str:
    """Return the page.

    Parameters
    ----------
    title : str
        What is shown.
    notes : sequence of str
        Sentences about what the page leaves out.
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
