"""How times are shown: to the second, in UTC, sortable by eye."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
