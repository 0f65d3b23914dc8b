"""REDCap versions, on which some responses depend."""


def parse_version(text: str) -> tuple[int, ...]:
    """Return a REDCap version as numbers, which can be compared.

    Example:
        >>> parse_version("14.7.3") < parse_version("14.10.0")
        True
    """
    return tuple(int(part) for part in text.split("."))
