"""Signing in to this site: back-off instead of lock-out, and passwords checked by few at a time.

Why not a library: docs/decisions/0007-sign-in-backs-off.md. Nothing here is needed by a host project.
"""
