"""LoRA, for many adapters over one frozen base.

adapter   an adapter as values: PEFT's configuration and tensors; made, loaded and saved by PEFT
linear    a layer of the base with several adapters beside it, each for its own tokens
installed  those layers into the base, and out again
"""
