"""The dashboard's parts; whatever of them is imported first, threads wait politely before torch is loaded."""

from fnet_core.threads import wait_politely

wait_politely()
