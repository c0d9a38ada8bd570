"""A project's own rules: who shares a mail domain sees one another's exports."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from exports_app.access import Access
from exports_app.models import ExportJob


class SameMailDomain(Access):
    """Exports of the same tenant exist for each of its users."""

    def exports(self) -> QuerySet[ExportJob]:
        domain = self.user.email.rpartition("@")[2]
        tenant = ExportJob.objects.filter(owner__email__endswith=f"@{domain}", deleted_at=None)
        return ExportJob.objects.select_related("owner").filter(
            Q(pk__in=super().exports().values("pk")) | Q(pk__in=tenant.values("pk"))
        )
