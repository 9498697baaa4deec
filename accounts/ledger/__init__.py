"""The ledger as a chain: how a row is hashed, how the whole is checked, anchored, read and exported.

``accounts.audit`` writes rows; everything here only reads them, but for :mod:`accounts.ledger.guard`, which has the
database refuse changes.
"""

from accounts.ledger.access import Access, accesses_of

__all__ = ["Access", "accesses_of"]
