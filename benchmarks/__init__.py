"""Measurements, each by `python -m benchmarks.NAME`, under the settings of threads that the command line makes."""

from fnet_core.threads import wait_politely

wait_politely()
