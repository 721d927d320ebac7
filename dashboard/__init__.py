"""The dashboard's parts; whatever of them is imported first, the process begins well."""

from fnet_core import starting

starting.begin()
