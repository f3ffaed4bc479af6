"""The symmetry audit: which transformations of the jets leave a tagger's scores alone, and to what precision."""

from .auditing import AuditReport, audit

__all__ = ["AuditReport", "audit"]
