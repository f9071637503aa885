"""Redis to dataset, on a CPU and without torch.

connect       the connection to a Redis
retry         waits for a Redis that is away, and says so
redis_errors  pure: what Redis says when it refuses, and whether waiting mends it
key_types     what keys hold: of the type that they should be
pages         one stream, a page at a time, the next one on its way
decode        pure: an entry's fields to a record
source        the day streams of a target: what there is, its entries by window, its feedback
archive       in its place: Redis by watermark, the rest from what was sealed
segments      the archive's files
manifest      from what a dataset was made
shares        several pods: which conversations are whose, and how what one worked out is looked up by another
parts         the files in which they write that down
dataset       the files of a dataset, and whether one is finished already
collect       all of it, in order
"""
