"""How replicas agree. Pure: time, randomness, keys and rows all come in as arguments."""
