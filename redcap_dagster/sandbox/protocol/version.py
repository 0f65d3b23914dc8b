"""REDCap versions, which some answers differ by."""


def parse_version(text: str) -> tuple[int, ...]:
    """A REDCap version as numbers, which compare.

    Example:
        >>> parse_version("14.7.3") < parse_version("14.10.0")
        True
    """
    return tuple(int(part) for part in text.split("."))
