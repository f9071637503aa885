"""The whole loop in one sitting, on a real cluster with a real model: what `make demo` runs, and the end-to-end tests borrow.

__main__      the steps in order
scenario      what is asked and trained, and what must come of it
questions     what people really asked, and what people answered
installation  a chart installed with its quickstart: its pods, its API, its jobs
kube          kubectl and helm, as a user calls them
traffic       the questions sent through the `openai` SDK, the human answers sent back as corrections
follow        a FineTuneJob, live on the terminal
swap          how long a new revision takes to every replica
table         what it ends with
"""
