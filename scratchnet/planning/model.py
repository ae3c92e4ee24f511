"""Choice of the network: a narrow U-Net unless another one is given."""

from scratchnet.models import MODELS
from scratchnet.planning.draft import Draft

MODEL, WIDTH = "unet-same", 0.1875
"""A padded U-Net with 12 filters in its first layer, a million parameters: minutes on two cores."""
MANY_CLASSES = 8
"""With more classes than this the network is wider."""


def choose_model(draft: Draft) -> None:
    """Choose model, width and batch norm; the options of a model that is given keep their defaults."""
    draft.choose("model", MODEL, "skips keep small objects, any image size")
    model = draft.settings.model.model
    options = MODELS[model].options() if model in MODELS else {}
    if draft.free("model"):
        wide = len(draft.data.classes) > MANY_CLASSES
        reason = "many classes" if wide else "few images and classes need few filters"
        if draft.budget.width is not None:
            reason = "suits the available time"
        draft.choose("width", draft.budget.width or (0.25 if wide else WIDTH), reason)
        draft.choose("dropout", False, "batch norm and augmentation regularise already")
    if options.get("batch_norm") is False:
        draft.choose("batch_norm", True, "trains faster and from any initialisation")
