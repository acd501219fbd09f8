"""The proleptic Gregorian calendar without limits of the year; months count from 0."""

from typing import Final

_ERA: Final = 146_097
"""Days of 400 years."""
_EPOCH: Final = 719_468
"""Days from 0000-03-01, the start of an era, to 1970-01-01."""


def days_until(year: int, month: int, day: int) -> int:
    """Returns the days from 1970-01-01 to a date."""
    era, of_era = divmod(year - (month < 2), 400)
    from_march = (153 * ((month + 10) % 12) + 2) // 5 + day - 1
    return era * _ERA + of_era * 365 + of_era // 4 - of_era // 100 + from_march - _EPOCH


def date_of(days: int) -> tuple[int, int, int]:
    """Returns year, month and day of a number of days since 1970-01-01."""
    era, of_era = divmod(days + _EPOCH, _ERA)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    from_march = of_era - (365 * year + year // 4 - year // 100)
    place = (5 * from_march + 2) // 153
    month = (place + 2) % 12
    return era * 400 + year + (month < 2), month, from_march - (153 * place + 2) // 5 + 1


def is_leap(year: int) -> bool:
    """Whether a year has 366 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def is_year(year: int) -> bool:
    """Whether C can store this year, both as it is and counted from 1900, in an int."""
    return year - 1900 >= -(2**31) and year < 2**31
