"""The pieces of `routing.showing` for templates."""

from django import template

from routing.showing import age, difference_table, moment, state

register = template.Library()

register.filter(age)
register.filter(moment)
register.simple_tag(difference_table)
register.simple_tag(state)
