"""The dashboard: a page, styles and scripts that show an API. They know the API alone (docs/dashboard.md)."""

from unspool.dashboard.pages import PAGES, routes

__all__ = ["PAGES", "routes"]
