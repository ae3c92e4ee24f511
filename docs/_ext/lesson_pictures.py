"""Run lessons for the gallery, and show each picture saved with `scratchnet.visualization.keep` below its cell."""

import os
import shutil
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst

from scratchnet.visualization import saving


class KeptPictures:
    """A scraper: called after every cell of every lesson."""

    def __repr__(self):
        """Return a text without an address: Sphinx compares it with the last build's."""
        return "KeptPictures()"

    def __call__(self, block, block_vars, gallery_conf):
        """Copy the pictures that are new, and return the text that shows them."""
        pictures = []
        for path in saving.kept:
            target = Path(next(block_vars["image_path_iterator"])).with_suffix(path.suffix)
            shutil.copyfile(Path(block_vars["src_file"]).parent / path, target)
            pictures.append(str(target))
        saving.kept.clear()
        return figure_rst(pictures, gallery_conf["src_dir"])


class Arguments:
    """The command line of a lesson: it runs in full, or, with SCRATCHNET_LESSONS=fast, in its fast mode."""

    def __repr__(self):
        """Return a text without an address."""
        return "Arguments()"

    def __call__(self, gallery_conf, script_vars):
        """Return what follows the script's name."""
        return ["--fast"] if os.environ.get("SCRATCHNET_LESSONS") == "fast" else []


pictures, arguments = KeptPictures(), Arguments()
