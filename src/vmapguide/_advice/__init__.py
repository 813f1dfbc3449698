"""What to say of a call that is wrong: the argument, what is the matter, and what to do."""
