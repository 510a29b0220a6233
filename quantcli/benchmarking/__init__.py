"""How fast a frozen model runs, with each kernel choice, and beside the original."""
