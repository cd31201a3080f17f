"""The version, where packaging can read it without importing the rest."""

__version__ = "1.0.0"
