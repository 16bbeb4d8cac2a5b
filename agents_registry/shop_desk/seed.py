"""The invented customers and orders that a new shop database begins with."""

from __future__ import annotations

from typing import Final

CUSTOMERS: Final = (
    ("C-1001", "Ana Novak", "ana@example.com", "2023-04-02"),
    ("C-1002", "Ben Okafor", "ben@example.org", "2024-01-19"),
    ("C-1003", "Chiara Rossi", "chiara@example.net", "2022-09-30"),
    ("C-1004", "Dirk Meyer", "dirk@example.com", "2025-06-11"),
    ("C-1005", "Emi Tanaka", "emi@example.org", "2021-12-05"),
    ("C-1006", "Farid Haddad", "farid@example.net", "2026-02-14"),
)
"""Customer id, name, e-mail address, customer since."""

ORDERS: Final = (
    ("SO-1041", "C-1001", "2026-06-21", "delivered", 12.0, "EUR", "TN-40010041"),
    ("SO-1042", "C-1001", "2026-11-09", "shipped", 214.5, "EUR", "TN-40010042"),
    ("SO-1043", "C-1002", "2026-11-02", "delivered", 32.0, "EUR", "TN-40010043"),
    ("SO-1044", "C-1003", "2026-11-16", "shipped", 149.0, "EUR", "TN-40010044"),
    ("SO-1045", "C-1004", "2026-11-19", "paid", 129.0, "EUR", "TN-40010045"),
    ("SO-1046", "C-1005", "2026-10-28", "delivered", 58.5, "EUR", "TN-40010046"),
    ("SO-1047", "C-1006", "2026-11-05", "shipped", 99.0, "EUR", "TN-40010047"),
)
"""Order id, customer id, ordered on, status, total, currency, tracking number."""

ITEMS: Final = (
    ("SO-1041", "Gas cartridge 230 g", 2),
    ("SO-1042", "Ridge 2 tent", 1),
    ("SO-1042", "Ground pegs (set of 8)", 1),
    ("SO-1043", "Camp kettle 1.2 l", 1),
    ("SO-1044", "Fell leather boots, size 40", 1),
    ("SO-1045", "Down sleeping bag, regular", 1),
    ("SO-1046", "Ember stove", 1),
    ("SO-1047", "Backpack 45 l", 1),
)
"""Order id, name, quantity."""
