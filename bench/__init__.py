"""Benchmarks: every figure is a ratio between Northstar and an honest baseline, measured in one run in alternating rounds."""
