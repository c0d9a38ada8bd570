"""System checks: declarations and settings that cannot work, with the way out."""

from __future__ import annotations

