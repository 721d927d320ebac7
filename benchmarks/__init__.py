"""Measurements, each by `python -m benchmarks.NAME`, under the settings of threads that the command line makes."""

from fnet_core import starting

starting.begin()
