"""Pages over stores: how an app declares one, and those of the stores that belong to no app. See CONTRIBUTING.md."""

from routing.admin.stores.actions import ActionForm, Done, Question, StoreAction
from routing.admin.stores.pages import StorePage, store_page
from routing.admin.stores.visits import PAGE_SIZE, Pager, Visit

__all__ = [
    "PAGE_SIZE",
    "ActionForm",
    "Done",
    "Pager",
    "Question",
    "StoreAction",
    "StorePage",
    "Visit",
    "store_page",
]
