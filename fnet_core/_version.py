"""The version of FNet, said here alone."""

__version__ = "0.1.0"
