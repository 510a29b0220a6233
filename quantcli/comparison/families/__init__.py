"""The families of models: how each is fed, run, observed and summed up."""
