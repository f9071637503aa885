"""Dataset to judged adapters: the only part that needs torch.

decontaminate   rows to learn, without those that ask what a golden set asks
encode          conversation -> tokens, and which of them to learn (pure, given a tokenizer)
steps           rows -> optimizer steps of so many tokens (pure)
precision       device and number format, by capability
threads         no more than the pod's CPU limit
hub             a base model that is there (without torch)
base_folder     where the base model is, whether it is the one that serves, and its licence (without torch)
quantize        the frozen base in 4 bits while adapters train (QLoRA)
base            the base model, loaded once
lora            adapters as values, and as layers of the base
packs           rows -> forward passes in which nothing is padded or computed twice
loss            cross entropy at the supervised tokens alone, without holding their logits
forward         a pack through the base
trainee         one adapter while it is trained: steps, optimizer, schedule, early stop
together        all adapters at once over one frozen base
token_budget    how many tokens one pass may have, by the memory there is
recompute       gradient checkpointing, where a row does not fit otherwise
compile         torch.compile of the layers, by capability
training_state  where a training stands, and how it is taken up again
checkpoint      what is kept of it, and when
process_group   one of several processes that train together
launch          starts them: torchrun, one a GPU
score           losses of rows under base and adapters
exams           which rows each candidate is asked, and the adapters of folds
exam            those rows, and what the nats say of the candidate (pure)
probes          safety set and trigger set as tokens (pure, given a tokenizer)
answering       short greedy answers
judging         all exams in one pass -> the evidence of each candidate
memory          what happens when there is not enough
publish         an adapter into the store
progress        how far all domains together are
domain          one domain's rows; and once its adapter is examined, its verdict, card and artifact
finished        the report of a training that is done already (without torch)
start           a training from its document: reported, launched or trained (without torch until then)
job             all of it
"""
