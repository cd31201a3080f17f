"""What can be set, and how it is read."""

from .settings import ROOT, ConfigError, Settings, current_settings

__all__ = ["ROOT", "ConfigError", "Settings", "current_settings"]
