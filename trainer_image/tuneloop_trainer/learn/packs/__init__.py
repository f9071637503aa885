"""Rows into forward passes: nothing is padded, and what rows have in common is computed once.

tree        rows that begin alike share their beginning (pure)
pack        trees of several adapters side by side, as tensors
attention   each token attends to its own row's past alone
"""
