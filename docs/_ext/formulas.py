"""Formulas as MathML: every current browser draws it by itself, without a script and without a network."""

import html
import re
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.errors import SphinxError

NAMES = re.compile(r"&(?!lt;|gt;|amp;|quot;)\w+;")
"""Names of characters that HTML knows and XML does not."""


def mathml(node, display):
    """Return the MathML of a formula; the source stays with it as the text that is copied or read aloud."""
    tex = node.astext()
    try:
        text = str(latex2mathml.tex2mathml(tex, as_block=display))
    except MathError as error:
        raise SphinxError(f"{node.source}:{node.line}: formula {tex!r}: {error}") from None
    text = NAMES.sub(lambda name: html.unescape(name.group()), text)
    ElementTree.fromstring(text)  # a formula that is not understood must fail the build, not the page
    return text.replace("<math", f'<math aria-label="{html.escape(tex, quote=True)}"', 1)


def inline(self, node):
    """Write a formula within a line."""
    self.body.append(mathml(node, display=False))
    raise nodes.SkipNode


def block(self, node):
    """Write a formula on a line of its own."""
    self.body.append(f'<div class="math">{mathml(node, display=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
