"""The one family of errors that a user can act on.

Every error that fer-orch raises on purpose is a `FerOrchError`; the command line catches it in
one place and prints its text alone. The text names the thing, its value and the way out.
"""


class FerOrchError(Exception):
    """Base of all errors whose message is meant for the user."""


class DataError(FerOrchError):
    """Data is missing, damaged, or not what its manifest says."""


class ConfigError(FerOrchError):
    """A request (configuration, argument, run directory) can't be carried out as it stands."""


class UnreachableError(DataError, OSError):
    """Storage does not answer: told to the user, and worth another try."""
