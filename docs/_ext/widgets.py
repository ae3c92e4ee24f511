"""Widgets of the lessons, ``.. widget:: NAME``: operations whose kernel size, stride, padding and dilation can be set.

They compute with the engine of the live page. Each is embedded in the page of its lesson, and has a page of its own,
``widgets/NAME.html``.
"""

from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

from scratchnet.visualization import ROLES
from scratchnet.visualization.html import asset, page

FOLDER = Path(__file__).parents[1] / "_widgets"
WIDGETS = {"convolution": "A kernel slides", "transposed": "Copies of the kernel", "overlap": "Where copies overlap"}
ENGINE = ("explorer/assets/elements.js", "live/assets/matrix.js", "live/assets/convolution.js")


def read(name):
    """Return a file of the widgets."""
    return (FOLDER / name).read_text(encoding="utf-8")


def style():
    """Return the style sheet."""
    roles = "".join(f"--{role}: {colour}; " for role, colour in ROLES.items())
    return f".widget {{ {roles}}}\n{read('widget.css')}"


def script(name):
    """Return the script: the engine, the parts, and the widget itself, whose names no other script sees."""
    parts = "\n".join([*(asset(file) for file in ENGINE), read("parts.js"), read(f"{name}.js")])
    return f'(() => {{\n"use strict";\n{parts}\nstart(document.querySelector(".widget"));\n}})();'


def body(name):
    """Return the element that the script fills."""
    return f'<div class="widget" role="group" aria-label="{escape(WIDGETS[name])}"></div>'


def own_page(name):
    """Return the page that has nothing but the widget."""
    title = WIDGETS[name]
    return page(title, f"<h1>{escape(title)}</h1>\n{body(name)}", style=style(), script=script(name))


class Widget(Directive):
    """A sentence, the widget, and a link to its own page."""

    required_arguments = 1
    has_content = True

    def run(self):
        """Return the nodes."""
        name = self.arguments[0]
        if name not in WIDGETS:
            raise self.error(f"no widget {name!r}; there are {', '.join(WIDGETS)}")
        sentence = nodes.container(classes=["widget-sentence"])
        self.state.nested_parse(self.content, self.content_offset, sentence)
        up = "../" * self.state.document.settings.env.docname.count("/")
        link = f'<p class="widget-page"><a href="{up}widgets/{name}.html">Open this in a page of its own</a></p>'
        text = f"<style>{style()}</style>\n{body(name)}\n{link}\n<script>{script(name)}</script>"
        return [*sentence.children, nodes.raw("", text, format="html")]


def write_pages(app, error):
    """Write the pages with nothing but a widget."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir, "widgets")
    folder.mkdir(exist_ok=True)
    for name in WIDGETS:
        (folder / f"{name}.html").write_text(own_page(name), encoding="utf-8")


def setup(app):
    """Register the directive and the pages."""
    app.add_directive("widget", Widget)
    app.connect("build-finished", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
