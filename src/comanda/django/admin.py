"""Jobs in Django's admin: list, search, filters, one job with its attempts; retry, cancel and delete by permission.

Everything is read and done through the broker's contract. GET changes nothing; every change is a POST with Django's
CSRF token to the list's own address, whose permission is checked there, whatever the page had shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _

from ..app import Comanda
from ..cli import views
from ..errors import BrokerError, ConfigurationError
from ..ids import from_text, to_text
from . import actions, detail
from .listing import JobList
from .models import Job

MOST_SELECTED = 1_000
"""Jobs of one POST: the list offers far fewer."""

View = Callable[..., HttpResponse]


def _store() -> Comanda:
    from .project_app import app

    return app


def _with_store(view: View) -> View:
    """Show a store that cannot be reached as a page that says so, not as a server error."""

    @wraps(view)
    def guarded(self: JobAdmin, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(self, request, *args, **kwargs)
        except (BrokerError, ConfigurationError) as error:
            context = self.page(request, title=_("The task queue cannot be reached"), problem=str(error))
            return TemplateResponse(request, "comanda/admin/unreachable.html", context, status=503)

    return guarded


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    """The pages. A subclass may be registered on another AdminSite."""

    def get_urls(self) -> list[Any]:
        """Return the list and a page for each job."""
        return [
            path("", self.admin_site.admin_view(self.changelist_view), name="comanda_job_changelist"),
            path("<str:object_id>/change/", self.admin_site.admin_view(self.change_view), name="comanda_job_change"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs are made by code."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A job cannot be edited."""
        return False

    def allowed_verbs(self, request: HttpRequest) -> list[actions.Verb]:
        """Return what this user may do."""
        return [verb for verb in actions.VERBS.values() if request.user.has_perm(f"comanda.{verb.permission}")]

    def page(self, request: HttpRequest, **context: Any) -> dict[str, Any]:
        """Return the context that all pages share."""
        request.current_app = self.admin_site.name
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "has_view_permission": True,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
            "list_url": reverse("admin:comanda_job_changelist", current_app=self.admin_site.name),
            **context,
        }

    # -- the list -----------------------------------------------------------------------------------------------

    # Not under ATOMIC_REQUESTS: the store is written on a connection of its own, which would wait for the request's.
    @transaction.non_atomic_requests
    @_with_store
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show a page of jobs; a POST operates on the ticked ones."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._operate(request)
        jobs = JobList(_store(), self.opts, request.GET)
        verbs = self.allowed_verbs(request)
        context = self.page(
            request,
            title=_("Jobs"),
            cl=jobs,
            action_form=_action_form(verbs) if verbs and jobs.result_list else None,
            actions_on_top=True,
            actions_selection_counter=True,
            selection_note=_("0 of %(cnt)s selected") % {"cnt": len(jobs.result_list)},
            **(extra_context or {}),
        )
        return TemplateResponse(request, "comanda/admin/job_list.html", context)

    # -- one job ------------------------------------------------------------------------------------------------

    @transaction.non_atomic_requests
    @_with_store
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one job with its attempts."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        (job_id,) = _ids([object_id]) or (None,)
        app = _store()
        record = None if job_id is None else app.broker.get([job_id], attempts=True)[0]
        if record is None:
            raise Http404(_("There is no such job; it may have been deleted or pruned."))
        context = self.page(
            request,
            title=views.task_name(record),
            original=Job(id=to_text(record.id)),
            verbs=[verb for verb in self.allowed_verbs(request) if record.state in verb.states],
            **detail.context_of(record, app.now()),
            **(extra_context or {}),
        )
        return TemplateResponse(request, "comanda/admin/job.html", context)

    # -- operating ----------------------------------------------------------------------------------------------

    def _operate(self, request: HttpRequest) -> HttpResponse:
        verb = actions.VERBS.get(request.POST.get("action", ""))
        ids = _ids(request.POST.getlist(ACTION_CHECKBOX_NAME))
        back = HttpResponseRedirect(request.get_full_path())
        if verb is None:
            messages.warning(request, _("No action selected."))
            return back
        if verb not in self.allowed_verbs(request):
            raise PermissionDenied
        if not ids:
            messages.warning(request, _("Tick the jobs that are meant. Nothing was done."))
            return back
        if verb is actions.DELETE and "confirmed" not in request.POST:
            return self._confirm(request, ids)
        self._apply(request, verb, ids)
        if "from_job" in request.POST and verb is not actions.DELETE:
            return HttpResponseRedirect(self._job_url(to_text(ids[0])))
        return back

    def _confirm(self, request: HttpRequest, ids: list[bytes]) -> HttpResponse:
        found = [record for record in _store().broker.get(ids) if record is not None]
        context = self.page(request, title=_("Are you sure?"), jobs=[_line(record) for record in found])
        return TemplateResponse(request, "comanda/admin/delete.html", context)

    def _apply(self, request: HttpRequest, verb: actions.Verb, ids: list[bytes]) -> None:
        done = actions.apply(_store().broker, verb, ids, request.user.get_username())
        did, skipped = actions.sentences(verb, done)
        if did:
            messages.success(request, did)
        if skipped:
            messages.warning(request, skipped)
        if done.ids:
            LogEntry.objects.log_actions(
                user_id=request.user.pk,
                queryset=[Job(id=to_text(job_id)) for job_id in done.ids],
                action_flag=DELETION if verb is actions.DELETE else CHANGE,
                change_message=str(verb.history),
            )

    def _job_url(self, job_id: str) -> str:
        return reverse("admin:comanda_job_change", args=[job_id], current_app=self.admin_site.name)


def _action_form(verbs: list[actions.Verb]) -> ActionForm:
    form = ActionForm(auto_id=None)
    form.fields["action"].choices = [("", "---------"), *((verb.name, verb.on_selected) for verb in verbs)]
    return form


def _line(record: Any) -> dict[str, str]:
    return {"id": to_text(record.id), "task": views.task_name(record)}


def _ids(words: list[str]) -> list[bytes]:
    """Return the ids among the words, each once: what is no id names no job."""
    found: dict[bytes, None] = {}
    for word in words[:MOST_SELECTED]:
        try:
            found[from_text(word)] = None
        except ConfigurationError:
            continue
    return list(found)
