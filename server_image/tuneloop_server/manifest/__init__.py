"""Follows the adapter manifest of the target."""
