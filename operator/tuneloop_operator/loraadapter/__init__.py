"""One pass over a LoRAAdapter: what the target's ledger and pods say of it becomes its status. It decides nothing itself."""
