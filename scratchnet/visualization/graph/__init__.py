"""Drawings of a network's structure: boxes, connections and receptive fields."""
