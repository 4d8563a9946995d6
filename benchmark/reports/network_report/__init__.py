"""The report of one network: one HTML page that loads nothing, as a reviewer wants it."""

from __future__ import annotations

from benchmark.reports.network_report.page import posterior, report_page, sections

__all__ = ["posterior", "report_page", "sections"]
