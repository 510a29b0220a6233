"""What the user wants: which weights become what. TOML, validated, in the user's words."""

from quantcli.recipe.files import load_recipe, shipped
from quantcli.recipe.schema import Choice, Recipe, Rule

__all__ = ["Choice", "Recipe", "Rule", "load_recipe", "shipped"]
