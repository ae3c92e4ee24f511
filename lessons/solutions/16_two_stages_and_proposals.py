"""Solutions to the exercises of lesson 16. Run it: it checks itself."""

import numpy as np

from scratchnet.data import Window
from scratchnet.data.objects.curriculum import Example, balanced
from scratchnet.ops.activation import softmax


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
# 2. C is [1, 1, 3, 3] at pixels 4 to 7: it changes the pixels 6 and 7, and 5, where 1 exceeds 0.
maps = np.array([[2, 2, 6, 6, 0, 0, 0, 0], [0, 0, 4, 4, 4, -1, -1, -1], [0, 0, 0, 0, 1, 1, 3, 3]])
assert maps.max(axis=0).tolist() == [2, 2, 6, 6, 4, 1, 3, 3]

# %%
# 3. Both give class 0 here. They differ when one network is very sure and the others disagree weakly: a score is
#    unbounded, but a probability is at most 1.
first, second = np.array([2.0, 0.0]), np.array([0.0, 1.0])
assert ((softmax(first) + softmax(second)) / 2).argmax() == softmax((first + second) / 2).argmax() == 0
three = np.array([[9.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
assert softmax(three.mean(axis=0)).argmax() == 0
assert softmax(three).mean(axis=0).argmax() == 1

# %%
# 4. The two examples of class 1 are repeated alternately until there are five.
examples = [Example(0, number, label, Window(0, 0, 4, 4)) for number, label in enumerate([1, 1, 2, 2, 2, 2, 2])]
numbers = [example.number for example in balanced(examples) if example.label == 1]
assert numbers == [0, 1, 0, 1, 0]
print("all solutions hold")
