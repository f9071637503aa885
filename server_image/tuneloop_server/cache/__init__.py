"""Finished answers of deterministic requests."""
