"""What the models are fed: built-in texts, images and recordings, and the user's own."""

from quantcli.samples.data import SAMPLING_RATE, Item, SampleOptions, Samples
from quantcli.samples.gather import gather

__all__ = ["SAMPLING_RATE", "Item", "SampleOptions", "Samples", "gather"]
