"""What the user wants: which weights become what, and what the result is held to. TOML."""

from quantcli.recipe.files import load_recipe, shipped
from quantcli.recipe.schema import Choice, Recipe, Rule
from quantcli.recipe.tables import CalibrationSamples, Compare, Gates

__all__ = [
    "CalibrationSamples",
    "Choice",
    "Compare",
    "Gates",
    "Recipe",
    "Rule",
    "load_recipe",
    "shipped",
]
