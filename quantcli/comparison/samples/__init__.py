"""Samples to run the models on: built-in texts, images and recordings, and the user's own."""

from quantcli.comparison.samples.gather import gather
from quantcli.comparison.samples.sample import SAMPLING_RATE, Item, Purpose, SampleOptions, Samples

__all__ = ["SAMPLING_RATE", "Item", "Purpose", "SampleOptions", "Samples", "gather"]
