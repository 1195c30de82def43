"""Row versions, transactions and histories, made from the journal of an execution."""
