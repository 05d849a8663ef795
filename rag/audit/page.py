"""An audit as one self-contained HTML file, no scripts and nothing loaded from elsewhere."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from rag.audit.flow import Audit
from rag.audit.tables import NONE_SAID, headlines, worth
from rag.retrieve.explain import STATES

TEMPLATE = Path(__file__).with_name("page.html")


def page(audit: Audit) -> str:
    """The whole page as HTML; every text from the documents is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        audit=audit,
        says=headlines(audit),
        groups={group: list(shares) for group, shares in groupby(audit.intake.shares, key=lambda share: share.group)},
        none_said=NONE_SAID,
        worths=[worth(change) for change in audit.gold.changes],
        whens=[STATES[term.state].format(days=abs(term.days)) for term in audit.terms],
    )
