"""Who may do what: the one place that API, pages, admin, downloads and workers ask.

What of the data somebody may read is ``visibility``'s; here it meets whose export it is and who operates the site.
A project with rules of its own (tenants, groups) names a subclass of ``Access`` in ``EXPORTS_ACCESS``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Final

from django.db.models import Prefetch, Q, QuerySet
from django.utils.module_loading import import_string

from exports_app import conf, keys
from exports_app.keys import Permit
from exports_app.models import ExportJob, ExportPerformance, ExportPreset, ExportWebhook
from exports_app.resources import registry
from exports_app.resources.base import has_permission
from exports_app.visibility import STATE, WHOLE, Sight, View

VIEW: Final = "exports_app.view_exportjob"
CHANGE: Final = "exports_app.change_exportjob"
OPEN: Final = "exports_app.download_others"
TRACES: Final = "exports_app.view_error_trace"
UNLIMITED: Final = "exports_app.unlimited"


class Access:
    """What one user may do; made anew for each request, as rights change.

    Each method may be overridden. ``exports`` and ``presets`` say what exists for the user at all: whatever is not
    among them answers as if it were not there, whatever the other methods say.
    """

    def __init__(self, user: Any) -> None:
        self.user = user
        self.sight = Sight(user)
        self._sights: dict[Any, Sight] = {}

    def sight_of(self, owner: Any) -> Sight:
        """What an owner may see now, worked out once for all of their exports."""
        if owner.pk == self.user.pk:
            return self.sight
        return self._sights.setdefault(owner.pk, Sight(owner))

    # Operators

    @cached_property
    def permit(self) -> Permit:
        """What the API key leaves of all this that the user acts by."""
        return keys.permit_of(self.user)

    @cached_property
    def is_operator(self) -> bool:
        """Whether everybody's exports, their figures and the state of the site are shown."""
        return has_permission(self.user, VIEW)

    @cached_property
    def may_operate(self) -> bool:
        """Whether others' exports may be cancelled, retried and deleted."""
        return self.is_operator and has_permission(self.user, CHANGE)

    @cached_property
    def sees_traces(self) -> bool:
        """Whether tracebacks and messages of the project's own code are shown."""
        return has_permission(self.user, TRACES)

    @cached_property
    def is_unlimited(self) -> bool:
        """Whether any number of exports may be asked for."""
        return has_permission(self.user, UNLIMITED)

    # Exports

    def exports(self) -> QuerySet[ExportJob]:
        """Those that exist for the user: their own, those shared with them, for operators everybody's."""
        shared = Q() if self.is_operator else Q(pk__in=self._shares().values("exportjob_id"))
        return _jobs().filter(Q(deleted_at=None) & shared | self._own())

    def listed(self, *, everybodys: bool) -> QuerySet[ExportJob]:
        """The same for pages of a list; ``everybodys``: all that operators see.

        What is shared is looked up first, so that PostgreSQL knows how few that are, and finds the newest by the
        owner's index in place of reading everybody's until a page is full.
        """
        people = Prefetch("shared_with", to_attr="people")
        jobs = _jobs().prefetch_related(people)  # type: ignore[no-redef]  # the cached property
        if self.is_operator and everybodys:
            return jobs.filter(deleted_at=None)
        shared = list(self._shares().values_list("exportjob_id", flat=True))
        return jobs.filter(self._own() | Q(pk__in=shared, deleted_at=None) if shared else self._own())

    def removed(self) -> QuerySet[ExportJob]:
        """Those that were deleted and are on record without what they asked for; operators find them in the admin."""
        return _jobs().filter(deleted_at__isnull=False) if self.is_operator else _jobs().none()

    def with_contents(self, jobs: QuerySet[ExportJob]) -> QuerySet[ExportJob]:
        """Those of them whose contents are shown: only they are found by what they hold."""
        if self.is_operator:
            return jobs
        shared = ExportJob.objects.filter(pk__in=self._shares().values("exportjob_id"), deleted_at=None)
        read = [job.pk for job in shared.only("resource", "columns", "tables") if self.sight.knows(job)]
        return jobs.filter(Q(owner=self.user) | Q(pk__in=read))

    def may_act(self, job: ExportJob) -> bool:
        """Whether they may cancel, retry and delete it, end its links and see who fetched it."""
        return self.owns(job) or self.may_operate

    def may_share(self, job: ExportJob) -> bool:
        """Whether they say who else sees it."""
        return self.owns(job)

    def may_open(self, job: ExportJob) -> bool:
        """Whether its file may be theirs to fetch or to link to, if the data is."""
        return self.owns(job) or self._opens_others or any(person.pk == self.user.pk for person in job.people)

    def sees_contents(self, job: ExportJob) -> bool:
        """Whether more than its state is shown: what it has, how much, under which names."""
        return self.owns(job) or self.is_operator or self.sight.knows(job)

    def view(self, job: ExportJob) -> View:
        """How much of it they are shown.

        Receivers who lack a table of it are told its state alone, those who lack a column nothing that may come from
        it. Operators who lack either are told how it goes and why it failed, and nothing of its rows.
        """
        if not self.sees_contents(job):
            return STATE
        outside = self.permit.outside(name for name, _ in job.contents())
        if self.owns(job) or self.sight.may_read(job):
            return WHOLE.without(outside)
        operates = self.is_operator
        return View(details=operates, values=not operates).without(outside)

    def shown(self, job: ExportJob) -> ExportJob:
        """The export as they see it: itself, a part of it, or its state alone."""
        return self.view(job).of(job)

    def owns(self, owned: ExportJob | ExportPreset | ExportWebhook) -> bool:
        """Whether it is their own."""
        return bool(owned.owner_id == self.user.pk)

    # Presets, webhooks, figures

    def presets(self) -> QuerySet[ExportPreset]:
        """Their own, and those shared with them whose data they may export; by name."""
        shared = ExportPreset.shared_with.through.objects.filter(user_id=self.user.pk).values("exportpreset_id")
        allowed = [each.name for each in registry.allowed(self.user)]
        return ExportPreset.objects.filter(Q(owner=self.user) | Q(pk__in=shared, resource__in=allowed))

    def may_change(self, preset: ExportPreset) -> bool:
        """Whether they may change and delete it."""
        return self.owns(preset)

    def webhooks(self) -> QuerySet[ExportWebhook]:
        """Their own."""
        return ExportWebhook.objects.filter(owner=self.user)

    def performance(self) -> QuerySet[ExportPerformance]:
        """Figures of the runs of their exports; for operators of everybody's."""
        runs = ExportPerformance.objects.select_related("owner")
        return runs if self.is_operator else runs.filter(owner_id=self.user.pk)

    @cached_property
    def _opens_others(self) -> bool:
        return self.is_operator and has_permission(self.user, OPEN)

    def _own(self) -> Q:
        """Theirs, and what somebody else removed: they are told."""
        return Q(owner=self.user) & (Q(deleted_at=None) | Q(removal__isnull=False))

    def _shares(self) -> QuerySet[Any]:
        return ExportJob.shared_with.through.objects.filter(user_id=self.user.pk)


class System(Access):
    """The site itself, where nobody asks: everything, without limits."""

    is_operator = may_operate = sees_traces = is_unlimited = True

    def __init__(self) -> None:
        super().__init__(None)

    def may_act(self, job: ExportJob) -> bool:
        return True

    def owns(self, owned: Any) -> bool:
        return False


SYSTEM: Final = System()
"""Who acts where upkeep or a command does."""


def of(user: Any) -> Access:
    """What this user may do, by the project's rules; ``SYSTEM`` stands for itself."""
    if isinstance(user, Access):
        return user
    made: Access = import_string(conf.settings.ACCESS)(user)
    if made.permit.resources:
        _limit(made)
    return made


def _limit(made: Access) -> None:
    """Leave of what exists what the key is limited to; from outside, so that no rule of a project can forget it."""
    for name in ("exports", "listed", "presets", "performance"):
        setattr(made, name, partial(_limited, getattr(made, name), made.permit.resources))


def _limited(find: Callable[..., QuerySet[Any]], resources: frozenset[str], **values: Any) -> QuerySet[Any]:
    return find(**values).filter(resource__in=resources)


def _jobs() -> QuerySet[ExportJob]:
    return ExportJob.objects.select_related("owner")
