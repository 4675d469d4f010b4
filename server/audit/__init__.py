"""Whether what is kept is still what was written: checks that change nothing."""
