"""Whole years of bad luck in one thread: real engine, simulated network, clocks, disks, people."""
