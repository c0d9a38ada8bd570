from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from exportsite.stack.folder import Folder
from exportsite.stack.ports import Ports
from exportsite.stack.supervisor import Program, Supervisor


class Service(ABC):
    """A server that the site needs: one of ours, or the one that the environment names."""

    name: ClassVar[str]
    label: ClassVar[str]
    required: ClassVar[tuple[str, ...]]
    """The variables that name somebody else's; the first decides."""

    def __init__(self, folder: Folder, ports: Ports) -> None:
        self.folder, self.ports = folder, ports

    @property
    def data(self) -> Path:
        return self.folder.folder(self.name)

    @property
    @abstractmethod
    def variables(self) -> dict[str, str]:
        """What its clients need to know."""

    @abstractmethod
    def program(self) -> Program: ...

    @classmethod
    @abstractmethod
    def check(cls, variables: Mapping[str, str]) -> None:
        """Raise unless it answers by its own protocol."""

    def initialise(self, supervisor: Supervisor) -> None:
        """What must be there before the first start."""
        return

    def probe(self) -> None:
        """Raise unless ours is ready for the site."""
        self.check(self.variables)

    @classmethod
    def is_given(cls) -> bool:
        return bool(os.environ.get(cls.required[0]))
