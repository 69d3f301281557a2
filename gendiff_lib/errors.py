"""What the user can mend: every error is one sentence that names the thing, its value and the remedy."""


class GendiffError(Exception):
    """Something the user can mend. Its message is one sentence that names the thing, its value and the remedy."""


class ConfigError(GendiffError, ValueError):
    """A field of a configuration is unknown, of the wrong type or out of range."""


class Light(GendiffError):
    """A published run cannot make what is asked of it: it is published without it, or without its weights."""


class DataError(GendiffError):
    """A data set is missing, damaged or unknown. What a message tells of file names is made legible."""

    def __init__(self, message: str) -> None:
        super().__init__(legible(message))


def legible(text: str) -> str:
    """`text` in one line of printable characters: file names may hold newlines, and bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class MissingDataError(DataError):
    """A data set is neither there nor to be downloaded."""
