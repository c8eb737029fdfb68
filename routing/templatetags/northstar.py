"""The pieces of `routing.showing` for templates."""

from django import template

from routing.differences import differences
from routing.models import RouteChange
from routing.showing import age, difference_table, moment, state

register = template.Library()

register.filter(age)
register.filter(moment)
register.simple_tag(state)


@register.filter
def difference(change: RouteChange) -> str:
    """What a change of the trail changed, as a table."""
    return difference_table(differences(change.before, change.after))
