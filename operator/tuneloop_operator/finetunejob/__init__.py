"""One pass over a FineTuneJob: a harvest Job, a training Job, and what the training found handed to LoRAAdapters."""
