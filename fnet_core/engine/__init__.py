"""Work on other machines: a Dask scheduler that people name, workers that join it, and tasks that come back whole.

`naming` reads an address without any library; `client` sends tasks; `task` is the worker's side; `workers` runs both.
"""
