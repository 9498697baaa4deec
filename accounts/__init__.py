"""Who: users and their roles, patients, the audit ledger."""
