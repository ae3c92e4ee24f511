"""The live page as one HTML file: a skeleton, the data, and the scripts that run the network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from scratchnet.utils.errors import UserError
from scratchnet.visualization.html import asset, page
from scratchnet.visualization.live.weights import Parameters, Precision
from scratchnet.visualization.style import ROLES

SCRIPTS = (
    "explorer/assets/elements.js",
    *(f"live/assets/{name}.js" for name in ("unpack", "matrix", "convolution", "pooling", "layers", "engine")),
    *(f"live/assets/{name}.js" for name in ("state", "image", "mask", "cards", "viewer", "words", "live")),
)
"""Scripts of the page, in dependency order."""

LIMIT = 8_000_000
"""Maximum size of the page in bytes."""

ROUNDED = "The weights are rounded to float16, since with float32 the page would exceed 8 MB."


@dataclass(frozen=True)
class LivePage:
    """The HTML of a page, its notes and the precision of its weights."""

    text: str
    notes: Sequence[str]
    precision: Precision


def live_page(
    title: str, notes: Sequence[str], content: Mapping[str, Any], parameters: Parameters, kind: str = "live page"
) -> LivePage:
    """Return the live page, with weights in float32, or in float16 if it would exceed 8 MB otherwise.

    Parameters
    ----------
    title : str
        Title of the page.
    notes : sequence of str
        Sentences about the parts of the image that the page omits.
    content : mapping
        See `live_content`.
    parameters : Parameters

    Raises
    ------
    UserError
        If the page exceeds 8 MB in any case.
    """
    precision: Precision
    for precision, sentences in (("float32", notes), ("float16", [*notes, ROUNDED])):
        text = _text(title, sentences, {**content, "parameters": parameters.pack(precision)}, kind)
        if len(text.encode("utf-8")) <= LIMIT:
            return LivePage(text, sentences, precision)
    raise UserError(
        f"--live: the page would have {len(text) / 1e6:.1f} MB, of at most {LIMIT / 1e6:.0f} MB, because it contains "
        "the network's weights; train a narrower network (--width), or leave out --live"
    )


def _text(title: str, notes: Sequence[str], content: Mapping[str, Any], kind: str) -> str:
    """Return the HTML."""
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    body = asset("live/assets/live.html")
    for place, text in {
        "TITLE": escape(title),
        "NOTES": "".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        "DATA": data,
    }.items():
        body = body.replace(f"[[{place}]]", text)
    roles = "".join(f"--{role}:{colour};" for role, colour in ROLES.items())
    script = "\n".join(asset(name) for name in SCRIPTS)
    style = f":root {{ {roles} }}\n{asset('live/assets/live.css')}"
    return page(title, body, kind=kind, style=style, script=f'"use strict";\n{script}')
