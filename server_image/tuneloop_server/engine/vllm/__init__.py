"""vLLM as the model, in a container of its own beside this one: an Engine that decodes elsewhere. No torch here.

    connect     from the settings to an engine that is there
    engine      an Engine (see engine.base): from a request to a stream of vLLM's
    answer      one stream of vLLM's -> the pieces of an answer
    adapters    what vLLM should hold, and whether it does: written, loaded, listed, probed; again after a restart
    files       an adapter as the folder that vLLM reads it from
    probe       whether an adapter changes anything
    outline     the base model's linear layers, from the headers of its files
    client      vLLM's HTTP, and what its answers mean

vLLM listens on the pod's loopback only: its routes change what is served, so nobody but us may reach them.
"""
