"""How the documentation is built: ``python -m sphinx -W docs docs/_build``, after ``pip install -e ".[docs]"``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import scratchnet  # noqa: E402

project = "scratchnet"
author = "The scratchnet developers"
copyright = "2026, the scratchnet developers, MIT licence"
version = release = scratchnet.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    "myst_parser",
    "formulas",
    "tables",
]
exclude_patterns = ["_build", "_ext"]
templates_path = ["_templates"]
highlight_language = "none"
html_theme = "furo"
html_title = "scratchnet"
html_static_path = ["_static"]
html_css_files = ["scratchnet.css"]
html_math_renderer = "mathml"
html_show_sphinx = False

default_role = "code"
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
autosummary_generate = True
add_module_names = False  # the page of a module names it once
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"  # the docstrings name shapes, which say more than "Array"
napoleon_google_docstring = False
napoleon_use_ivar = True
suppress_warnings = [
    "ref.python",  # words such as "size" in the place of a type are no references
    "sphinx_gallery.duplicate_filename",  # a lesson's solutions bear its name
]

sphinx_gallery_conf = {
    "examples_dirs": "../lessons",
    "gallery_dirs": "lessons",
    "filename_pattern": r"[\\/]\d\d_",
    "ignore_pattern": r"solutions",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("lesson_pictures.pictures",),
    "reset_argv": "lesson_pictures.arguments",
    "backreferences_dir": None,
    "abort_on_example_error": True,
    "download_all_examples": True,
    "show_memory": False,
    "write_computation_times": False,  # a page that needs a network to be looked at
    "show_signature": False,
    "thumbnail_size": (400, 280),
    "remove_config_comments": True,
}
