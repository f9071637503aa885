"""Which entries become rows, in order. Pure: no external calls, no I/O.

example     what one entry offers to learn
feedback    what people said of it, of a cache hit too
admit       rules on one entry: the first that speaks drops it, by its name
lookahead   many entries at once, where that takes less time
quality     answers that are not worth learning
redact/     personal data out, before anything is hashed or kept
golden      questions that judge adapters, and so are never learned
offer       all of the above: what one entry offers, by itself alone; the rest looks at many
similarity  when two questions are one in other words
distinct    rules on the whole: duplicates, near duplicates, caps
poison      what looks like an attempt to teach by bulk or by craft
thread      turns of one conversation become one row
ties        what must stay on one side: conversations, questions, users
split       train, held out or time-forward, and the proof that no two overlap
funnel      all of it: entries -> rows, and the count of each reason
"""
