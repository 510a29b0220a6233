"""What the user wants: which weights become what, and what the result is held to. TOML."""

from quantcli.recipe.files import load_recipe, shipped
from quantcli.recipe.schema import Choice, Recipe, Rule
from quantcli.recipe.tables import Calibration, Compare, Gates

__all__ = ["Calibration", "Choice", "Compare", "Gates", "Recipe", "Rule", "load_recipe", "shipped"]
