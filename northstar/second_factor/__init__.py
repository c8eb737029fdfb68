"""The second factor of people who work in the back office: an authenticator app, and recovery codes for the day it is lost.

Outside of a lab nobody gets past its page without one, and a session that has not proven it is not let in, even one that was
begun before the person enrolled. django-allauth does the cryptography and the steps; this package holds the rule.
"""
