"""Gallery of the lessons: show each picture saved with `scratchnet.visualization.save_figure` below its cell."""

import shutil
from pathlib import Path

from PIL import Image

from scratchnet.visualization import saving

PICTURE = """
.. container:: {classes}

   .. image:: /{place}
      :alt: {alt}
      :width: {width}px

"""
"""At its full width, as far as the page is that wide; on a narrow screen, a wide picture scrolls."""

NARROW = 350
"""Width in CSS pixels up to which a picture fits a telephone."""


class SavedPictures:
    """Image scraper of the gallery, called after every cell of every lesson."""

    def __repr__(self):
        """Return a text without an address, because Sphinx compares it with that of the last build."""
        return "SavedPictures()"

    def __call__(self, block, block_vars, gallery_conf):
        """Copy the new pictures and return the reStructuredText that shows them."""
        text = ""
        for saved in saving.saved_figures:
            target = Path(next(block_vars["image_path_iterator"])).with_suffix(saved.path.suffix)
            shutil.copyfile(Path(block_vars["src_file"]).parent / saved.path, target)
            with Image.open(target) as image:
                width = image.width
            place = target.relative_to(gallery_conf["src_dir"]).as_posix()
            classes = "lesson-picture wide" if width > NARROW else "lesson-picture"
            text += PICTURE.format(place=place, alt=" ".join(saved.alt.split()), width=width, classes=classes)
        saving.saved_figures.clear()
        return text


pictures = SavedPictures()
