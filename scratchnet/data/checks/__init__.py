"""Checks of a data set before training: report every problem at once."""
