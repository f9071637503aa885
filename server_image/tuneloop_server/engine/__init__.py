"""The model: one base, adapters beside it. `hf` decodes in this process, in batches on one thread; `vllm` has a vLLM server do it."""
