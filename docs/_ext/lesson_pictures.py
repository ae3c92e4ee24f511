"""Gallery of the lessons: show each picture saved with `scratchnet.visualization.save_figure` below its cell."""

import os
import shutil
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst

from scratchnet.visualization import saving


class SavedPictures:
    """Image scraper of the gallery, called after every cell of every lesson."""

    def __repr__(self):
        """Return a text without an address, because Sphinx compares it with that of the last build."""
        return "SavedPictures()"

    def __call__(self, block, block_vars, gallery_conf):
        """Copy the new pictures and return the reStructuredText that shows them."""
        pictures = []
        for path in saving.saved_figures:
            target = Path(next(block_vars["image_path_iterator"])).with_suffix(path.suffix)
            shutil.copyfile(Path(block_vars["src_file"]).parent / path, target)
            pictures.append(str(target))
        saving.saved_figures.clear()
        return figure_rst(pictures, gallery_conf["src_dir"])


class Arguments:
    """Command-line arguments of a lesson: none, or ``--fast`` if SCRATCHNET_LESSONS=fast."""

    def __repr__(self):
        """Return a text without an address."""
        return "Arguments()"

    def __call__(self, gallery_conf, script_vars):
        """Return the arguments after the script's name."""
        return ["--fast"] if os.environ.get("SCRATCHNET_LESSONS") == "fast" else []


pictures, arguments = SavedPictures(), Arguments()
