"""The leaderboards as a static site: a module a kind of page, from the same results as the Markdown.

No server and no network: all links are relative, all libraries lie in the site. Templates: `reports/templates/site`.
"""

from __future__ import annotations

from benchmark.reports.site.build import Pictures, site
from benchmark.reports.site.needs import require
from benchmark.reports.site.notebooks import notebook
from benchmark.reports.site.reference import reference_pages
from benchmark.reports.site.writing import refuse_foreign, write_site

__all__ = ["Pictures", "notebook", "reference_pages", "refuse_foreign", "require", "site", "write_site"]
