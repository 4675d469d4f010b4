"""The demonstration: the real register with invented people, or a wholly invented city."""
