"""What a calibration file holds: the second moments of what each weight is multiplied with."""

from quantcli.calibration.header import Header, SampleSet
from quantcli.calibration.names import COUNTS, MAXIMUM, MOMENT, ROWS
from quantcli.calibration.read import Calibration, Moment, open_calibration

__all__ = [
    "COUNTS",
    "MAXIMUM",
    "MOMENT",
    "ROWS",
    "Calibration",
    "Header",
    "Moment",
    "SampleSet",
    "open_calibration",
]
