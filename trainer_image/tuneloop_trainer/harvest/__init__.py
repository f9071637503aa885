"""Redis to dataset, on a CPU and without torch.

    patience    waits for a Redis that is away, and says so
    source      the day streams of a target: what there is, its entries by window, its feedback
    dataset     the files of a dataset, and whether one is finished already
    collect     all of it, in order
"""
