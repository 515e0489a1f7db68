"""What step 1 says: model, dataset, how its rows are read and which are left out; and what of it a config holds.

Pure: knows neither gradio nor files. What a page sends is not trusted: anything that is no text counts as nothing said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ftspace.config import RunConfig, merge, parse_config
from ftspace.sections import FINDINGS

RECOGNIZED, COLUMNS, MESSAGES, TEMPLATES = "recognized", "columns", "messages", "templates"
WAYS = {
    RECOGNIZED: "As recognized",
    COLUMNS: "Question and answer columns",
    MESSAGES: "A column of messages",
    TEMPLATES: "Templates",
}
"""How a dataset can be read, in the words of the page."""
NOT_THEIRS = "(a file of its owner's)"
"""Stands behind the name of what a visitor may not read; no file and nothing on the Hub is called so."""
BEHIND = "\u2002·\u2002"
"""Stands in a picker's list between a name and what is said of it."""
_ROLES = {COLUMNS: ("prompt", "completion", "system"), MESSAGES: ("messages", "tools", "system")}


@dataclass(frozen=True)
class Choice:
    """The values of step 1, each with the name of its widget; empty texts where nothing is said."""

    model: str = ""
    template: str = "auto"
    dataset: str = ""
    about: str = ""
    """The dataset that all that follows was said about; "" while the page is being filled."""
    config: str = ""
    split: str = "train"
    revision: str = ""
    way: str = RECOGNIZED
    prompt: str = ""
    completion: str = ""
    system: str = ""
    messages: str = ""
    tools: str = ""
    prompt_template: str = ""
    completion_template: str = ""
    review: str = ""
    """Id of the decisions about single rows."""
    filters: tuple[str, ...] = ()
    origin: str = ""
    """Id of the run that this choice started from."""
    system_prompt: str = ""
    """`data.system`, which is asked for in step 2 and is part of every conversation."""
    start_from: str = ""
    """`lora.start_from`: the adapter that is trained on; empty for a new one."""

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Choice":
        """The choice that widgets say, in the order of `NAMES`."""
        by_name = dict(zip(NAMES, values, strict=True))
        said = {name: _text(by_name[name], as_it_is=name in _AS_IT_IS) for name in _TEXTS}
        said |= {name: picked(said[name]) for name in ("model", "dataset")}
        return cls(**said, filters=tuple(name for name in FINDINGS if by_name[name] is True))

    @classmethod
    def of_config(cls, config: RunConfig, review: str, origin: str) -> "Choice":
        """The choice that a config holds; `review` is the id of its decisions."""
        model, data = config.model, config.data
        mapping = {str(role): column for role, column in (data.mapping or {}).items()}
        templates = {
            "prompt_template": data.prompt_template or "",
            "completion_template": data.completion_template or "",
        }
        way = RECOGNIZED
        if any(templates.values()):
            way = TEMPLATES
            for role in ("prompt", "completion"):
                templates[f"{role}_template"] = templates[f"{role}_template"] or as_template(mapping.get(role, ""))
        elif mapping:
            way = MESSAGES if "messages" in mapping else COLUMNS
        return cls(
            model=model.id,
            template=model.chat_template,
            dataset=data.id,
            about=data.id,
            config=data.config or "",
            split=data.split,
            revision=data.revision or "",
            way=way,
            **mapping,
            **templates,
            review=review,
            filters=tuple(data.filters),
            origin=origin,
            system_prompt=data.system or "",
            start_from=config.lora.start_from or "",
        )

    @property
    def values(self) -> dict[str, Any]:
        """What the widgets show, by name."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        return texts | {name: name in self.filters for name in FINDINGS}

    @property
    def is_closed(self) -> bool:
        """Whether it names what only another may read."""
        return self.model.endswith(NOT_THEIRS) or self.dataset.endswith(NOT_THEIRS)

    def settled(self) -> "Choice":
        """The same, without what was said about another dataset than the one that is chosen now."""
        if self.about in ("", self.dataset):
            return self
        kept = ("model", "template", "dataset", "origin", "system_prompt", "start_from")
        return Choice(**{name: getattr(self, name) for name in kept}, about=self.dataset)

    def recognized(self) -> "Choice":
        """The same with the rows read as their columns and values show."""
        return replace(self, way=RECOGNIZED)

    def read_as(self, mapping: Mapping[str, str]) -> "Choice":
        """The same with the rows read by a mapping."""
        empty = dict.fromkeys(("prompt", "completion", "system", "messages", "tools"), "")
        return replace(self, way=MESSAGES if "messages" in mapping else COLUMNS, **(empty | dict(mapping)))

    def prefilled(self, columns: Sequence[str], mapping: Mapping[str, str]) -> "Choice":
        """The same with what the chosen way lacks taken from what was said before, the recognized `mapping`, or the
        first columns."""
        sides = dict(zip(("prompt", "completion"), [*columns[:2], "", ""], strict=False))
        sides |= {role: column for role, column in mapping.items() if role in sides}
        if self.prompt and self.completion:
            sides = {"prompt": self.prompt, "completion": self.completion}
        if self.way == COLUMNS and not (self.prompt or self.completion):
            return replace(self, **sides, system=self.system or mapping.get("system", ""))
        if self.way == MESSAGES and not self.messages:
            return replace(self, messages=mapping.get("messages", columns[0] if columns else ""))
        if self.way == TEMPLATES and not (self.prompt_template or self.completion_template):
            return replace(self, **{f"{role}_template": as_template(column) for role, column in sides.items()})
        return self

    def config_over(self, draft: RunConfig, review: Path | None = None) -> RunConfig:
        """`draft` with this choice in it; `review` is the file of its decisions. Raises ConfigError."""
        mapping = {role: said for role in _ROLES.get(self.way, ()) if (said := getattr(self, role))}
        if self.way == TEMPLATES and self.system:
            mapping = {"system": self.system}
        templates = self.way == TEMPLATES
        given = {
            "model": {"id": self.model, "chat_template": self.template or "auto"}
            | ({} if self.model == draft.model.id else {"revision": None, "trust_code": None}),
            "data": {
                "id": self.dataset,
                "config": self.config or None,
                "split": self.split or "train",
                "revision": self.revision or None,
                "mapping": None,
                "prompt_template": (self.prompt_template or None) if templates else None,
                "completion_template": (self.completion_template or None) if templates else None,
                "filters": list(self.filters),
                "review": str(review) if review else None,
                "system": self.system_prompt or None,
            },
            "lora": {"start_from": self.start_from, "init": "default"} if self.start_from else {"start_from": None},
        }
        values = merge(draft.model_dump(), given)
        values["data"]["mapping"] = mapping if self.way in _ROLES else mapping or None
        return parse_config(values, where="the choice")


_TEXTS = tuple(field.name for field in fields(Choice) if field.name != "filters")
_AS_IT_IS = ("prompt_template", "completion_template", "system_prompt")
"""Texts whose spaces and line breaks at the ends count."""
NAMES = (*_TEXTS, *FINDINGS)
"""All that is said, in the order of its values."""


def picked(value: Any) -> str:
    """The name in what a picker holds, without what its list says of it."""
    return value.partition(BEHIND)[0].strip() if isinstance(value, str) else ""


def as_template(columns: str) -> str:
    """The template that says the same as a mapping's columns: `{instruction}`, an empty line, `{input}`."""
    return "\n\n".join(f"{{{column}}}" for column in columns.split("+") if column)


def _text(value: Any, *, as_it_is: bool) -> str:
    if not isinstance(value, str) or not value.strip():
        return ""
    return value if as_it_is else value.strip()
