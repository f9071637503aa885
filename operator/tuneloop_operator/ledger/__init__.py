"""The revisions of a target's adapters, and how they move. Pure: the pass of the InferenceTarget is the only writer.

model     what the ConfigMap keeps, beside the manifest that it leads to
inputs    what moves revisions: the LoRAAdapters and the pods' reports
claims    which LoRAAdapter may speak for a domain
advance   one LoRAAdapter's revisions, a step on
settle    all of a target's: claims, steps, capacity, manifest
"""
