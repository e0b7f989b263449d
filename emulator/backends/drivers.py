"""``DriverMissing``, the error of a setting whose driver is not installed."""

from __future__ import annotations


class DriverMissing(Exception):
    """A setting needs a package that is not installed.

    Attributes
    ----------
    variable : str
        The environment variable of the setting.
    package : str
        The package that the setting needs.
    """

    def __init__(self, variable: str, package: str) -> None:
        super().__init__(variable, package)
        self.variable = variable
        self.package = package

    def __str__(self) -> str:
        return (
            f"{self.variable} needs the package {self.package}, which is not installed; "
            'run `pip install "face-api-emulator[scale]"`'
        )
