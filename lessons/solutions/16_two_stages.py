"""Solutions to the exercises of lesson 16. Run it: it checks itself."""

import numpy as np

from scratchnet.data import Window
from scratchnet.data.objects.box_sampling import enlarged
from scratchnet.data.objects.curriculum import Example, balanced


# %%
# 1. A 3×3 convolution adds two steps, a 2×2 pool one, and each pool doubles the step.
def field(pools: int) -> int:
    """Return the receptive field, in pixels, of the middle of the hourglass."""
    length, step = 1, 1
    for _ in range(pools):
        length += 2 * step + step
        step *= 2
    return length + 2 * step


assert field(3) == 38
assert field(2) == 18

# %%
# 2. 1.2 · 7 = 8.4, rounded 8 rows, one more than the object: none goes to the top. 1.2 · 12 = 14.4, rounded 14
#    columns, two more: one goes to the left. So the box begins at row 10 and column 19. With a context of 1.5 it has
#    round(10.5) = 10 rows (Python rounds halves to the even number) and 18 columns. These are three and six more, so
#    the box begins at row 9 and column 17.
assert enlarged(Window(10, 20, 7, 12), 1.2) == (10, 19, 8, 14)
assert enlarged(Window(10, 20, 7, 12), 1.5) == (9, 17, 10, 18)

# %%
# 3. The two examples of class 1 are repeated in turn until there are five: the first three times, the second twice.
#    With ten of class 3, every class needs ten: five times each of class 1, twice each of class 2.
examples = [Example(0, number, label, Window(0, 0, 4, 4)) for number, label in enumerate([1, 1, 2, 2, 2, 2, 2])]
numbers = [example.number for example in balanced(examples) if example.label == 1]
assert numbers == [0, 1, 0, 1, 0]
examples += [Example(0, number, 3, Window(0, 0, 4, 4)) for number in range(7, 17)]
numbers = [example.number for example in balanced(examples)]
assert [numbers.count(number) for number in range(17)] == [5] * 2 + [2] * 5 + [1] * 10


# %%
# 4. The straight line is at half in the middle. (1 − t/T)^0.9 = ½ gives t/T = 1 − ½^(1/0.9) = 0.537, a little later.
def poly(update: float, updates: int, power: float) -> float:
    """Return the learning rate as a fraction of its start; the power 1 is the straight line."""
    return (1 - update / updates) ** power


assert poly(200, 400, 1) == 0.5
half = 1 - 0.5 ** (1 / 0.9)
assert round(half, 3) == 0.537
assert np.isclose(poly(half * 400, 400, 0.9), 0.5)
print("all solutions hold")
