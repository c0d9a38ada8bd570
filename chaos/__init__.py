"""Faults under running exports: ``python -m chaos`` breaks processes, connections and calls, and looks what holds."""
