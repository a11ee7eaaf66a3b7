"""Text from the ledger or the chain is somebody else's: make it harmless to a terminal."""


def printable(text: str) -> str:
    """Write control characters, escape sequences and direction marks as `\\x1b` and the like."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
