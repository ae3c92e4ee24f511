"""Rare classes: a loss that counts overlap, softened class weights, and crops that show them more often."""

from scratchnet.planning.draft import Draft

UNBALANCED = 8.0
"""Ratio of median-frequency weights above which classes are weighted."""
RARE = 0.05
"""Share of the pixels below which the loss counts overlap and crops are placed on a class on purpose."""
POWER, POWER_WITH_CROPS, CAP, BALANCED = 0.5, 0.25, 5.0, 0.5
"""Exponents of the class weights without and with balanced crops, which raise the share of rare classes as well. With
0.5 and balanced crops, networks mark far too many pixels as rare classes."""


def choose_balance(draft: Draft) -> None:
    """Choose loss, class weights and balanced crops, if the classes of the training masks differ much in frequency."""
    data, training = draft.data, draft.settings.training
    occurring = [weight for weight in data.weights if weight > 0]
    if len(occurring) < 2:
        return
    rarest = min((share, name) for share, name in zip(data.shares, data.classes, strict=True) if share > 0)
    found = f"'{rarest[1]}' has {_percent(rarest[0])} of the pixels"
    if rarest[0] < RARE:
        draft.choose("loss", "cross-entropy+dice", "overlap counts as much for a rare class as for the others")
        if draft.settings.augmentation.crop is not None:
            draft.choose("balanced_crops", BALANCED, found)
    weighted = "cross-entropy" in training.loss or training.loss == "focal"
    if weighted and max(occurring) / min(occurring) > UNBALANCED and draft.free("class_weights"):
        power = POWER_WITH_CROPS if draft.settings.augmentation.balanced_crops else POWER
        draft.choose("class_weights", "median-frequency", found)
        draft.choose("class_weights_power", power, "full weights would mark too many pixels as rare classes")
        draft.choose("class_weights_cap", CAP, "keeps very rare classes from dominating")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
