"""The whole loop in one sitting, on a real cluster with a real model: what `make demo` runs, and the end-to-end tests borrow.

questions   what people really asked, and what people answered
kube        kubectl and helm, as a user calls them
traffic     the questions sent through the `openai` SDK, the human answers sent back as corrections
follow      a FineTuneJob, live on the terminal
story       the steps in order, and the table at the end
"""
