"""The consistency checks of a seed, by what they look at; `rules.checks` runs them all."""
