"""Makes `levo` importable for every test."""

import pack  # noqa: F401
