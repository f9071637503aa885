"""The list of model names."""
