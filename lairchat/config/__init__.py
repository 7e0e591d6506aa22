"""The configuration: TOML or JSON, the environment on top, into one frozen Config."""

from lairchat.config.keys import (
    all_keys,
    applies_live,
    differences,
    every_key,
    key_of,
    merged,
    nearest,
    template,
    values,
    written,
)
from lairchat.config.loading import (
    Loaded,
    candidates,
    default_data,
    find,
    load,
    load_with_sources,
    parse,
    parse_with_sources,
    user_config,
    variable_of,
)
from lairchat.config.schema import Config, tcp_interface, tcp_port
from lairchat.config.text import locate

__all__ = [
    "Config",
    "Loaded",
    "all_keys",
    "applies_live",
    "candidates",
    "default_data",
    "differences",
    "every_key",
    "find",
    "key_of",
    "load",
    "load_with_sources",
    "locate",
    "merged",
    "nearest",
    "parse",
    "parse_with_sources",
    "tcp_interface",
    "tcp_port",
    "template",
    "user_config",
    "values",
    "variable_of",
    "written",
]
