"""Show in the sidebar the branch of the present page alone.

The theme asks for the whole tree of pages, and the reference has a page for every module: 400 entries in each of 800
files, which took most of the time of a build.
"""

EARLY = 400
"""Priority below that of the theme (500), which takes the tree at the same event."""


def collapse(app, pagename, templatename, context, doctree):
    """Make the page's function ``toctree`` leave out the other branches."""
    if "toctree" in context:
        whole = context["toctree"]
        context["toctree"] = lambda **options: whole(**(options | {"collapse": True}))


def setup(app):
    """Register the step."""
    app.connect("html-page-context", collapse, priority=EARLY)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
