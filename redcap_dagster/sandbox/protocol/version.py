"""REDCap versions, which some answers differ by."""


def version_of(text: str) -> tuple[int, ...]:
    """A REDCap version as numbers, which compare.

    Example:
        >>> version_of("14.7.3") < version_of("14.10.0")
        True
    """
    return tuple(int(part) for part in text.split("."))
