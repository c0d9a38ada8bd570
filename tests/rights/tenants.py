"""Rules of a project's own, by the domain of a user's mail address."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from exports_app.access import Access
from exports_app.models import ExportJob, ExportPerformance


class SameMailDomain(Access):
    """Exports of the same tenant exist for each of its users."""

    def exports(self) -> QuerySet[ExportJob]:
        domain = self.user.email.rpartition("@")[2]
        tenant = ExportJob.objects.filter(owner__email__endswith=f"@{domain}", deleted_at=None)
        return ExportJob.objects.select_related("owner").filter(
            Q(pk__in=super().exports().values("pk")) | Q(pk__in=tenant.values("pk"))
        )


class OperatorsOfOneDomain(Access):
    """Operators see those of their own tenant alone."""

    def exports(self) -> QuerySet[ExportJob]:
        return super().exports().filter(owner__email__endswith=self._domain()).distinct()

    def removed(self) -> QuerySet[ExportJob]:
        return super().removed().filter(owner__email__endswith=self._domain())

    def performance(self) -> QuerySet[ExportPerformance]:
        return super().performance().filter(owner__email__endswith=self._domain()).distinct()

    def _domain(self) -> str:
        return f"@{self.user.email.rpartition('@')[2]}"


class EverybodyShares(Access):
    """Whoever may see an export may say who else does."""

    def may_share(self, job: ExportJob) -> bool:
        return True
