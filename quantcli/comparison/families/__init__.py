"""How each family of models is fed, run, observed and summed up."""
