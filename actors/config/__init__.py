"""Configuration: TOML files, environment and flags in, validated ``Settings`` with their origins out."""

from actors.config.example import example_text
from actors.config.load import Loaded, load_settings
from actors.config.origins import ConfigError, Problem, dotted

__all__ = ["ConfigError", "Loaded", "Problem", "dotted", "example_text", "load_settings"]
