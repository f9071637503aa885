"""The model: one base, adapters beside it, decoding in batches on one thread."""
