"""Every path of the site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from exports_app.api.description import DocsView, SchemaView
from exports_app.api.health import HealthView, MetricsView, ReadyView
from exportsite.signin.forms import AdminSignInForm, SignInForm

admin.autodiscover()
admin.site.site_header = admin.site.site_title = "Exports"
admin.site.login_form = AdminSignInForm

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="exports:home")),
    path(
        "login/",
        LoginView.as_view(redirect_authenticated_user=True, authentication_form=SignInForm),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("exports/", include("exports_app.web.urls")),
    path("api/v1/", include("exports_app.api.urls")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", DocsView.as_view(), name="docs"),
    path("health/", HealthView.as_view(), name="health"),
    path("health/ready/", ReadyView.as_view(), name="ready"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("admin/", admin.site.urls),
]
