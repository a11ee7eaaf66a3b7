"""The dashboard's main menu."""

NAVIGATION: tuple[tuple[str, str], ...] = (
    ("/", "Overview"),
    ("/runs", "Runs"),
    ("/users", "Users"),
    ("/holds", "Holds"),
    ("/reports", "Reports"),
    ("/solvency", "Solvency"),
    ("/alerts", "Alerts"),
)
"""(path, name). The entry of the page that is shown, or of the folder that it is in, is marked."""
