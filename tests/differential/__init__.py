"""The differential suite: random cases of every operation and random networks, compared with PyTorch in float64.

    python -m tests.differential --minutes 60 --seed 7

runs as many cases as fit into the time and prints how to repeat those that failed. ``test_differential`` runs some of
each kind, the same every time, with the other tests.
"""
