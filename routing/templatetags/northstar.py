"""The pieces of `routing.showing` for templates."""

from django import template

from routing.showing import age, brief, clock, difference_table, moment, pretty, said, state

register = template.Library()

register.filter(age)
register.filter(brief)
register.filter(clock)
register.filter(moment)
register.filter(pretty)
register.filter(said)
register.simple_tag(difference_table)
register.simple_tag(state)
