"""`run.py bench`: how fast, how small, how many, against peers on the same machine in one go."""
