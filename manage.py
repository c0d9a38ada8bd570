#!/usr/bin/env python
"""Django's command line."""

from __future__ import annotations

import gc
import os
import sys

START = 100_000
"""New objects between two looks for garbage. Imports make none, and looking for it was a tenth of the start."""


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exportsite.settings")
    gc.set_threshold(START)
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    finally:
        gc.freeze()  # nor is everything looked through again at the end


if __name__ == "__main__":
    main()
