"""Animations of convolutions and of a network's forward pass."""
