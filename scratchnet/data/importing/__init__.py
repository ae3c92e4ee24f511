"""Import of the exports of labelling tools into the layout ``folder``."""

from scratchnet.data.importing.archives import shown, unpacked
from scratchnet.data.importing.formats import read_export
from scratchnet.data.importing.labels import Export
from scratchnet.data.importing.writing import ImportReport, write_export

__all__ = ["Export", "ImportReport", "read_export", "shown", "unpacked", "write_export"]
