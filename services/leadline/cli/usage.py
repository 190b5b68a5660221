"""Errors of a command line, each in one sentence that names the option as it is typed.

The parser draws its errors in a box, leaves the value out and shows how its library says it. Here they read like every
other refusal of Leadline: where, what was found, what was expected.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from typer.exceptions import TyperException

from leadline.model.errors import InvalidInput

_EXTRA: Final = re.compile(r"Got unexpected extra arguments?\(?s?\)? \((?P<words>.*)\)")
_COMMAND: Final = re.compile(r"No such command '(?P<name>.*?)'\.?")
# What the parser's library finds wrong with a value, and what it wants instead, by its name of the error.
_WANTED: Final[Mapping[str, str]] = {
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_parsing": "a number",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "at most {le}",
}


# They read as numbers, and are neither below a bound nor above it.
_NO_NUMBERS: Final = ("nan", "+nan", "-nan")


def usage_text(error: TyperException) -> str:
    """The error in one sentence."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "leadline"
    parameter, option = getattr(error, "param", None), getattr(error, "option_name", None)
    if parameter is not None:
        return f"{typed(parameter)}: {_value_text(error, parameter)}"
    if option is not None and hasattr(error, "possibilities"):
        return f"{option}: no such option of `{command}`; {_hint(option, error.possibilities or (), command)}"
    if option is not None:
        wanted = "got nothing, expected a value" if "requires" in error.message else "takes no value"
        return f"{option}: {wanted}"
    if found := _EXTRA.match(error.message):
        return f"{found['words']}: `{command}` takes no such words; see `{command} --help`"
    if found := _COMMAND.match(error.message):
        known = tuple(context.command.commands) if context is not None else ()
        return f"{found['name']}: no such command of `{command}`; {_hint(found['name'], known, command)}"
    return error.format_message()


def as_typed(message: str, options: Mapping[str, str]) -> str:
    """An error's lines with the option as it is typed, where a line begins with the name of its setting.

    options: the running command's, by the setting that each stands for (`trade_from`: `--trade-from`). A field of a
    manifest begins with where it stands (`spec.risk`), and stays.
    """
    return "\n".join(_line_as_typed(line, options) for line in message.split("\n"))


def options_of(parameters: Sequence[Any]) -> dict[str, str]:
    """How each option of a command is typed, by the name of its setting."""
    return {each.name: typed(each) for each in parameters if each.param_type_name == "option"}


def require_once(given: Sequence[Any]) -> None:
    """Raises InvalidInput for an option with one value that stands twice among the parameters of a command line.

    given: each as often as it is said. A switch may be said twice: it says the same.
    """
    valued = [each for each in given if each.param_type_name == "option" and not each.is_flag and not each.multiple]
    for parameter in valued:
        if valued.count(parameter) > 1:
            expected = "one value: this option is said once"
            raise InvalidInput(typed(parameter), f"{valued.count(parameter)} values", expected)


def require_values(given: Sequence[Any], values: Mapping[str, Any]) -> None:
    """Raises InvalidInput for an empty value.

    A shell's variable that is not set becomes one, and would be the folder that the command runs in, or all accounts.
    values: those of the parameters that are given, by their names, as typed.
    """
    for parameter in given:
        value = values.get(parameter.name)
        if "" in (value if isinstance(value, list) else [value]):
            what = f"this {parameter.param_type_name} is not empty ({parameter.help.rstrip('.')})"
            raise InvalidInput(typed(parameter), "", f"a value: {what}")


def typed(parameter: Any) -> str:
    """A parameter as people write it: the long form of an option, the name of an argument."""
    if parameter.param_type_name != "option":
        return str(parameter.display_name_raw)
    return str(max(parameter.opts, key=len))


def _line_as_typed(line: str, options: Mapping[str, str]) -> str:
    place, got, rest = line.partition(": got ")
    setting, colon, further = place.removeprefix("params").lstrip(".: ").partition(": ")
    option = options.get(setting.partition(".")[0])
    if not got or option is None:
        return line
    return f"{option}{colon and ' '}{further}{got}{rest}"


def _value_text(error: TyperException, parameter: Any) -> str:
    """The sentence for a wrong or missing value of an option or argument."""
    if not error.message:
        what = f"this {parameter.param_type_name} is required ({parameter.help.rstrip('.')})"
        return f"got nothing, expected a value: {what}"
    found: list[Any] = getattr(error.__cause__, "errors", list)()
    kind = found[0]["type"] if found else ""
    if found and str(found[0]["input"]).strip().lower() in _NO_NUMBERS:
        kind = "float_parsing"
    wanted = _WANTED.get(kind)
    if wanted is None:  # it says the value itself
        return error.message.removeprefix("Value error, ").rstrip(".")
    bounds = {name: int(value) if value == int(value) else value for name, value in found[0].get("ctx", {}).items()}
    return f"got {found[0]['input']!r}, expected {wanted.format(**bounds)}"


def _hint(word: str, known: Sequence[str], command: str) -> str:
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"`{command} --help` lists them"
