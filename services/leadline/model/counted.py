"""How many there are of something, in words for people."""


def counted(number: int, one: str, several: str = "") -> str:
    """`1 print`, `1,037 prints`. several: the plural, where it is not the noun with an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
