"""Building blocks of self-contained web pages, which refer to no other file and need no network."""

import base64
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.utils.signatures import signature
from scratchnet.visualization.style import INK

# With this policy, a browser refuses every request, and every script except the page's own, so nothing can leak.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(
    title: str,
    body: str,
    *,
    kind: str = "page",
    style: str = "",
    script: str = "",
    refresh: int | None = None,
    wasm_workers: bool = False,
) -> str:
    """Return a whole HTML document with its style sheet and script inside.

    Parameters
    ----------
    title : str
        Title as text.
    body : str
        HTML of the body.
    kind : str
        Kind of file, by which a later command recognises files that it may replace.
    style : str
        CSS added to the common style sheet.
    script : str
        JavaScript that runs after the body is loaded.
    refresh : int or None
        Seconds after which the browser loads the page again.
    wasm_workers : bool
        Whether the script may start workers from text that the page contains, and compile WebAssembly.
    """
    again = "" if refresh is None else f'\n<meta http-equiv="refresh" content="{refresh}">'
    head = _head(title, _policy(script, wasm_workers), again, kind, style)
    tail = f"<main>\n{body}\n</main>{_script(script)}"
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n<body>\n{tail}\n</body>\n</html>\n'


def _head(title: str, policy: str, again: str, kind: str, style: str) -> str:
    return f"""<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">{again}
<meta name="description" content="{escape(signature(kind))}">
<title>{escape(title)}</title>
<style>
{asset("report.css")}{style}</style>
</head>"""


def asset(name: str) -> str:
    """Return the text of a style sheet or script of this package."""
    return files("scratchnet.visualization").joinpath(name).read_text("utf-8")


def _script(script: str) -> str:
    return f"\n<script>{script}</script>" if script else ""


def _policy(script: str, wasm_workers: bool) -> str:
    """Return the policy of a page with one script, or without."""
    if not script:
        return POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    more = " 'wasm-unsafe-eval'; worker-src blob:" if wasm_workers else ""
    return f"{POLICY}; script-src 'sha256-{digest}'{more}"


def picture(array: Array, text: str, *, photograph: bool = False) -> str:
    """Return an ``<img>`` with its pixels embedded.

    Parameters
    ----------
    array : Array
        (h, w, 3) uint8.
    text : str
        Alternative text.
    photograph : bool
        Store pictures of more than 128 pixels as JPEG, a tenth of the size; all others are stored losslessly as PNG.
    """
    height, width, _ = array.shape
    small = max(height, width) <= 128
    buffer = io.BytesIO()
    if photograph and not small:
        kind = "jpeg"
        Image.fromarray(array).save(buffer, "JPEG", quality=85, optimize=True)
    else:
        kind = "png"
        Image.fromarray(array).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    css_class = ' class="pixels"' if max(height, width) <= 256 else ""
    return (
        f'<img{css_class} src="data:image/{kind};base64,{data}" width="{width}" height="{height}" alt="{escape(text)}">'
    )


def figure_svg(figure: Figure, text: str) -> str:
    """Return a Matplotlib figure as inline SVG in the page's font and text colour; ``text`` is the alternative text."""
    buffer = io.StringIO()
    # The ids of clip paths are derived from the salt; two figures on one page must not share them.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": text}):
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(text)}"', 1).strip()


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, style: str = "") -> str:
    """Return a table of HTML cells; the first column contains headings, the others are aligned as numbers."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = [
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
        for first, *others in rows
    ]
    return f'<table class="{style}"><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def legend(title: str, colours: Mapping[str, Sequence[int]]) -> str:
    """Return a legend: a line of coloured squares with their names."""
    chips = " ".join(chip(colour, name) for name, colour in colours.items())
    return f'<p class="legend"><b>{escape(title)}</b><span>{chips}</span></p>'


def chip(colour: Sequence[int], name: str) -> str:
    """Return a small square of an (r, g, b) colour, 0 to 255, and its name."""
    return f'<span class="chip"><i style="background:{hex_colour(colour)}"></i>{escape(name)}</span>'


def hex_colour(colour: Sequence[int]) -> str:
    """Return "#rrggbb"."""
    return "#" + "".join(f"{int(part):02x}" for part in colour)
