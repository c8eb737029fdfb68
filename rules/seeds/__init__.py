"""The rules that Northstar ships as an example: read from `rules/data`, checked, and put into a rules store."""
