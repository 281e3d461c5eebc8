"""The exceptions of the package: one base, and one child per kind of trouble a user can meet."""


class CodesignError(Exception):
    """Any trouble with the input or the machine; its text is for the user."""


class ConfigError(CodesignError, ValueError):
    """A file or option of the user's is wrong: names the file, the key, what was found and what would be right."""


class UnsupportedError(CodesignError, NotImplementedError):
    """A node, shape or file that is not supported: names it, the reason and the nearest supported form."""


class StorageError(CodesignError, OSError):
    """A file or folder cannot be written: names it and the reason that the system gives."""


class InfeasibleError(CodesignError):
    """Nothing fits: names the resource, what is needed, what is available and the nearest design."""


class ToolError(CodesignError, RuntimeError):
    """A program is missing or failed: names the command, its status, the log and the likely cause.

    `status`: the exit status of a program that ended; None if it did not end normally.
    """

    status: int | None = None


class MismatchError(CodesignError, AssertionError):
    """Outputs are not bit-exact: names the node, the index, what was expected and what was found."""
