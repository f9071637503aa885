"""The model: one base, adapters beside it.

base        what the rest of the server knows of a model (values and a Protocol; no torch)
start       the engine that the settings name
vllm        a vLLM server decodes
hf          transformers decodes, in this process; all below is its own

loading     the base model, from disk to memory
worker      the one thread that touches it
scheduler   who is next: waiting -> prefill -> batch
waiting     the queue of rows that wait for a place
prefill     prompts that are read together
batch       rows that are decoded together
kv          keys and values of the rows of a batch, in memory that is there already
slots       where the adapters are that compute now
product     rows times a base weight, by the fastest way here
linear      a linear layer with many adapters beside it, each row answered by its own
probe       whether an adapter changes anything
row         one answer while it is made
sampling    its next token
text        from tokens to what may be shown
"""
