"""Stands in for pyosys where what counts is how its processes are started, watched and ended."""
