"""Formulas as MathML, which every current browser renders without scripts and without network access."""

import html
import re
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.errors import SphinxError

NAMES = re.compile(r"&(?!lt;|gt;|amp;|quot;)\w+;")
"""Named character references of HTML that XML does not define."""


def mathml(node, display):
    """Return the MathML of a formula, with its source as the label that screen readers read."""
    tex = node.astext()
    try:
        text = str(latex2mathml.tex2mathml(tex, as_block=display))
    except MathError as error:
        raise SphinxError(f"{node.source}:{node.line}: formula {tex!r}: {error}") from None
    text = NAMES.sub(lambda name: html.unescape(name.group()), text)
    ElementTree.fromstring(text)  # an invalid formula must fail the build
    return text.replace("<math", f'<math aria-label="{html.escape(tex, quote=True)}"', 1)


def inline(self, node):
    """Write an inline formula."""
    self.body.append(mathml(node, display=False))
    raise nodes.SkipNode


def block(self, node):
    """Write a display formula."""
    self.body.append(f'<div class="math">{mathml(node, display=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
