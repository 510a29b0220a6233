"""The search of `tune`: from a model and a target to a recipe, with real comparisons."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.api.comparing import compare_request, make_compare_request
from quantcli.api.freezing import quantize_request
from quantcli.api.request import open_model, read_model
from quantcli.calibration import Calibration
from quantcli.comparison.gates import check_gates
from quantcli.errors import UsageError, VerificationError
from quantcli.files import check_writable, write_report
from quantcli.planning import Source
from quantcli.recipe import Compare, Recipe
from quantcli.recipe.tables import GateOptions
from quantcli.text import format_bytes
from quantcli.tuning.cache import CacheKey, Measured, load_cache, save_cache
from quantcli.tuning.correcting import Correction, Trial, make_links
from quantcli.tuning.damage import CalibratedMoments
from quantcli.tuning.feeding import feed_search
from quantcli.tuning.folding import fold
from quantcli.tuning.groups import make_groups
from quantcli.tuning.measuring import measure, steps_left
from quantcli.tuning.menu import Menu, make_menu
from quantcli.tuning.predicting import Choice, Predictor
from quantcli.tuning.probing import Probe
from quantcli.tuning.result import Tuned
from quantcli.tuning.stages import Stages
from quantcli.tuning.values import Weights

if TYPE_CHECKING:
    from quantcli.api.tuning import TuneRequest
    from quantcli.comparison.engine.feeding import Fed
