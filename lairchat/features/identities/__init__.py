"""Account logs: which devices speak for an account, and which sessions have proven to be one."""
