"""From nested TOML values to ``Settings``, with every problem at once.

cattrs walks the classes; the hooks here make it strict: a value of the wrong type is a problem, never converted (an
integer is accepted for a number), and every field is validated by itself, so that one bad field hides no other.
"""

from __future__ import annotations

import collections.abc
import datetime
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, get_origin

import attrs
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from actors.config.checks import CHECKS, VALUE_CHARACTERS, did_you_mean, one_of
from actors.config.origins import KeyPath
from actors.faults import excerpt
from engine.presets import PRESETS
from engine.settings import FollowSettings, ScoringSettings, Settings, TransportKind

Complaint = tuple[KeyPath, str]
"""Where in the tree, and what is wrong there."""

_TYPES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "true or false"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a number"),
    (list, "an array"),
    (dict, "a table"),
    (datetime.datetime, "a date"),
    (datetime.date, "a date"),
    (datetime.time, "a time"),
)
_TOML_OF: Final[Mapping[Any, type]] = MappingProxyType({tuple: list, collections.abc.Mapping: dict})


class Rejected(Exception):
    """The tree is no ``Settings``; ``complaints`` says why."""

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__(complaints)
        self.complaints = complaints


def structure(tree: Mapping[str, Any], *, plugins: Collection[str] = ()) -> Settings:
    """The settings of a tree; ``plugins`` are presets besides the built-in ones. Raises ``Rejected``."""
    try:
        return _converter({*PRESETS, *plugins}).structure(tree, Settings)
    except ClassValidationError as error:
        raise Rejected(list(_complaints(error, ()))) from error


# ------------------------------------------------------------------------------------------------------------- walking


def _complaints(error: BaseException, path: KeyPath) -> Iterator[Complaint]:
    match error:
        case ClassValidationError() | IterableValidationError():
            for cause in error.exceptions:
                yield from _complaints(cause, (*path, *_step(cause)))
        case ForbiddenExtraKeysError():
            for key in sorted(error.extra_fields):
                yield (*path, key), f"unknown key{_hint(key, error.cl, path)}"
        case _:
            yield path, _words(error)


def _step(cause: BaseException) -> KeyPath:
    """The attribute or the index that cattrs noted on an error."""
    for note in getattr(cause, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def _hint(key: str, owner: type, path: KeyPath) -> str:
    here = attrs.fields_dict(owner)
    if (close := did_you_mean(key, here)) or owner is FollowSettings:
        return close
    homes = [section for section in _sections() if key in _sections()[section] and path != (section,)]
    return f' (did you mean "{homes[0]}.{key}"?)' if homes else ""


def _sections() -> Mapping[str, Collection[str]]:
    made = {name: getattr(Settings(), name) for name in attrs.fields_dict(Settings)}
    return {name: attrs.fields_dict(type(value)) for name, value in made.items() if attrs.has(type(value))}


def _words(error: BaseException) -> str:
    # Validators of attrs pass further arguments besides the text, which names the field that the path names already.
    text = str(error.args[0]) if error.args else type(error).__name__
    if text.startswith("'"):
        _, _, text = text[1:].partition("' ")
    return text


# ---------------------------------------------------------------------------------------------------------- strictness


def _converter(presets: Collection[str]) -> Converter:
    converter = Converter(detailed_validation=True, forbid_extra_keys=True)
    for kind in (bool, int, float, str):
        converter.register_structure_hook(kind, _strict)
    converter.register_structure_hook(str | float | bool, _plain)
    converter.register_structure_hook(TransportKind, _transport)
    checks = {**CHECKS, (ScoringSettings, "preset"): one_of("preset", presets)}

    def of_class(cls: type) -> Callable[[Any, type], Any]:
        hooks: dict[str, Any] = {
            name: override(struct_hook=_checked(converter, attribute, checks.get((cls, name))))
            for name, attribute in attrs.fields_dict(attrs.resolve_types(cls)).items()
        }
        from_table: Callable[[Any, Any], Any] = make_dict_structure_fn(cls, converter, **hooks)

        def structured(value: Any, wanted: type) -> Any:
            _expect(dict, value)
            try:
                return from_table(value, wanted)
            except ClassValidationError as error:
                raise _with_rules_between(error, cls, value) from error

        return structured

    converter.register_structure_hook_factory(attrs.has, of_class)
    return converter


def _with_rules_between(error: ClassValidationError, cls: type, table: Mapping[str, Any]) -> ClassValidationError:
    """The same with what the rules between fields say, which attrs asks only once every field is right by itself."""
    bad_fields = any(_step(cause) or isinstance(cause, ForbiddenExtraKeysError) for cause in error.exceptions)
    broken = list(_broken_rules(cls, table)) if bad_fields else []
    return ClassValidationError(error.message, [*error.exceptions, *broken], cls) if broken else error


def _broken_rules(cls: type, table: Mapping[str, Any]) -> Iterator[ValueError]:
    attributes = attrs.fields_dict(cls)
    # Of a table of unknown keys alone nobody can say what is missing.
    if not attributes.keys() & table.keys():
        return
    values = {name: table.get(name, attribute.default) for name, attribute in attributes.items()}
    for name, attribute in attributes.items():
        for validator in getattr(attribute.validator, "_validators", (attribute.validator,)):
            if validator is None or not _is_rule(validator, attribute, values[name]):
                continue
            try:
                validator(SimpleNamespace(**values), attribute, values[name])
            except TypeError:
                pass  # a value of a wrong type, which is told already
            except ValueError as error:
                yield error


def _is_rule(validator: Callable[..., object], attribute: attrs.Attribute[Any], value: Any) -> bool:
    """Whether a validator looks at more than its own field."""
    try:
        validator(_Unbuilt(), attribute, value)
    except _LooksAtSiblings:
        return True
    except (TypeError, ValueError):
        pass
    return False


def _strict(value: Any, wanted: type) -> Any:
    if wanted is float and type(value) is int:
        return float(value)
    _expect(wanted, value)
    if wanted is float and not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value}")
    return value


def _plain(value: Any, _: Any) -> Any:
    if type(value) not in {str, int, float, bool}:
        raise ValueError(f"expected a string, a number, true or false, got {_described(value)}")
    return _strict(value, float if type(value) is int else type(value))


def _transport(value: Any, _: Any) -> TransportKind:
    _expect(str, value)
    one_of("transport", [*TransportKind])(value)
    return TransportKind(value)


def _expect(wanted: type, value: object) -> None:
    # Not isinstance: true is no integer here.
    if type(value) is not wanted:
        raise ValueError(f"expected {dict(_TYPES)[wanted]}, got {_described(value)}")


def _described(value: object) -> str:
    name = next((words for kind, words in _TYPES if isinstance(value, kind)), type(value).__name__)
    if isinstance(value, list | dict):
        return name
    shown = str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
    return excerpt(shown if isinstance(value, bool) else f"{name}: {shown}", VALUE_CHARACTERS)


class _Unbuilt:
    """Stands in for the instance while its fields are checked one by one."""

    def __getattr__(self, name: str) -> Any:
        raise _LooksAtSiblings


class _LooksAtSiblings(Exception):
    """A validator that needs the whole instance; attrs runs it again when there is one."""


def _checked(
    converter: Converter, attribute: attrs.Attribute[Any], check: Callable[[Any], None] | None
) -> Callable[[Any, Any], Any]:
    def hook(value: Any, wanted: Any) -> Any:
        if (toml := _TOML_OF.get(get_origin(wanted))) is not None:
            _expect(toml, value)
        structured = converter.structure(value, wanted)
        if attribute.validator is not None:
            with suppress(_LooksAtSiblings):
                attribute.validator(_Unbuilt(), attribute, structured)
        if check is not None:
            check(structured)
        return structured

    return hook
