"""The pieces of `rules.admin.showing` for templates."""

from django import template

from rules.admin.showing import amount, days, sureness

register = template.Library()

register.filter(amount)
register.filter(days)
register.filter(sureness)
