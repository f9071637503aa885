"""Text completions, OpenAI's older API: a prompt that the model goes on from, without its chat template.

The rest is chat's: routing of model names, cache, engine, metrics. But it is not recorded: a bare prompt is no conversation, so there is
nothing in it that could be corrected and trained, and its answers carry no X-Interaction-Id.
"""
