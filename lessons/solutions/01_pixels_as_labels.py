"""Solutions to the exercises of lesson 1. Run it: it checks itself."""

import numpy as np

from scratchnet.evaluation import confusion_matrix, metrics

# %%
# 1. 196 − 100 = 96 pixels of 10,000 are wrong: accuracy 0.9904. The IoU is 100/196 = 0.51, Dice is 200/296 = 0.68.
truth, prediction = np.zeros((100, 100), np.uint8), np.zeros((100, 100), np.uint8)
truth[45:55, 45:55] = 1
prediction[43:57, 43:57] = 1
found = metrics(confusion_matrix(truth, prediction, classes=2))
assert np.isclose(found.accuracy, 0.9904)
assert np.isclose(found.iou[1], 100 / 196)
assert np.isclose(found.dice[1], 200 / 296)

# %%
# 2. Let I be the intersection and U the union. The two sizes add up to U + I, because both contain the intersection. So
#    Dice = 2·I / (U + I); divide numerator and denominator by U.
for intersection, union in ((1, 1), (1, 3), (0, 5), (7, 11)):
    ratio = intersection / union
    assert np.isclose(2 * intersection / (union + intersection), 2 * ratio / (1 + ratio))

# %%
# 3. 95 of 100 pixels are correct. Road: 70 / (70 + 75 − 70) = 0.93. Car: 5 / (10 + 5 − 5) = 0.50. Sky: 1. The mean
#    IoU is 0.81. It reveals that half of the car pixels are taken for road.
street = metrics(np.array([[70, 0, 0], [5, 5, 0], [0, 0, 20]]))
assert street.accuracy == 0.95
assert np.allclose(street.iou, (70 / 75, 0.5, 1))
assert np.isclose(street.mean_iou, (70 / 75 + 0.5 + 1) / 3)

# %%
# 4. 3 % of the pixels are wrong. In the worst case all cell pixels (2 %) are missed and another 1 % is wrongly marked:
#    IoU 0. In the best case all cell pixels are found and 3 % are wrongly marked: 2 / (2 + 3) = 0.40. A wrongly marked
#    pixel only enlarges the union; a missed one also shrinks the intersection.
best = 0.0
for missed in np.linspace(0, 2, 201):
    marked = 3 - missed
    best = max(best, (2 - missed) / (2 + marked))
assert np.isclose(best, 0.4)
print("all solutions hold")
