"""What people make besides exports: one-time tokens, presets, API keys."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from exports_app.models.jobs import ExportJob


class ExportToken(models.Model):
    """A one-time token that fetches one job's file without a login; only its digest is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(ExportJob, on_delete=models.CASCADE, related_name="tokens")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    password_mark = models.CharField(max_length=64, blank=True, default="", db_default="")
    """Of its maker's password when it was made (``passwords``); empty: the release before made it, a moment ago."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]


class ExportPreset(models.Model):
    """A request with a name, to be used again; fields of a request override it one by one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="export_presets")
    shared_with = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="shared_export_presets", blank=True)
    name = models.CharField(max_length=100)
    resource = models.CharField(max_length=100)
    format = models.CharField(max_length=20, default="csv")
    compression = models.CharField(max_length=10, blank=True, default="")
    columns: models.JSONField[Any, Any] = models.JSONField(null=True, blank=True)
    """As in a request; None: all that the user of the preset may see."""
    filters = models.JSONField(default=dict, blank=True)
    options = models.JSONField(default=dict, blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    sheets: models.JSONField[Any, Any] = models.JSONField(null=True, blank=True)
    """As in a request; None: all related tables that the user of the preset may export."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="export_preset_name")]


class ApiKey(models.Model):
    """A program's way in, as one user, for part of what they may; only the digest of its secret is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="export_keys")
    name = models.CharField(max_length=100, blank=True, default="")
    prefix = models.CharField(max_length=25)
    """The secret's first characters, to know it by."""
    digest = models.CharField(max_length=128, unique=True)
    """SHA-512 of the secret, in hexadecimal."""
    scopes = models.JSONField(default=list)
    """Names of ``choices.Scope``."""
    resources = models.JSONField(default=list, blank=True)
    """Names; empty: all that its user may export."""
    password_mark = models.CharField(max_length=64)
    """Of the user's password when the key was made (``passwords``)."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    """None: of a key of before, that was made without an end."""
    last_used_at = models.DateTimeField(null=True, blank=True)
    """To the minute."""
    last_used_from = models.CharField(max_length=45, blank=True, default="")

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name or f"{self.prefix}…"

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now
