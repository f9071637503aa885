"""Answers that were finished before, and that may be given again: tiers that are asked in turn, the exact one first."""
