"""Checks of a data set before training, which report all problems at once."""
