"""Reservations: hold an amount before a call, settle after it what it took."""

from typing import ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api.budget_answers import reservation_answer
from analytics.api.budget_bodies import (
    CommitIn,
    NothingIn,
    ReservationOut,
    ReservationQuery,
    ReserveIn,
    TopUpIn,
)
from analytics.budgets.reservations import Reservation, commit, read_reservation, release, reserve, top_up
from northstar.idempotency import IdempotentPost
from storage.api.base import DataView


class _Reservations(IdempotentPost, DataView):
    scopes: ClassVar[dict[str, str]] = {"POST": "data:write"}

    def answered(self, provider: str, metric: str, reservation: Reservation, status: int = 200) -> Response:
        """Answer with a reservation as it is now."""
        return Response(reservation_answer(self.context, provider, metric, reservation), status=status)


class ReserveView(_Reservations):
    """New reservations."""

    @extend_schema(operation_id="reserve_budget", request=ReserveIn, responses={201: ReservationOut})
    def post(self, request: Request, provider: str, metric: str) -> Response:  # noqa: ARG002
        """Hold an amount at every level that has a budget, or at none: over a hard limit the answer is 429. It expires by
        itself."""
        self.open("tabular_store")
        body = self.body(ReserveIn)
        held = reserve(
            self.context,
            provider,
            metric,
            body.amount,
            seconds=body.ttl_seconds,
            key=self.operation_id,
            at=body.at,
        )
        return self.answered(provider, metric, held, status=201)


class ReservationView(DataView):
    """One reservation."""

    scopes: ClassVar[dict[str, str]] = {"GET": "data:read"}

    @extend_schema(operation_id="get_reservation", responses={200: ReservationOut})
    def get(self, request: Request, provider: str, metric: str, reservation_id: str) -> Response:  # noqa: ARG002
        """Read a reservation as it is now. One whose time is over is expired."""
        self.open("tabular_store")
        self.query(ReservationQuery)
        found = read_reservation(self.context, provider, metric, reservation_id)
        return Response(reservation_answer(self.context, provider, metric, found))


class CommitView(_Reservations):
    """The settlement of a reservation that was used."""

    @extend_schema(operation_id="commit_reservation", request=CommitIn, responses={200: ReservationOut})
    def post(self, request: Request, provider: str, metric: str, reservation_id: str) -> Response:  # noqa: ARG002
        """Count what was used in the window that it was reserved in, and give the rest back. Twice is once."""
        self.open("tabular_store")
        body = self.body(CommitIn)
        return self.answered(provider, metric, commit(self.context, provider, metric, reservation_id, body.amount))


class ReleaseView(_Reservations):
    """The settlement of a reservation that was not used."""

    @extend_schema(operation_id="release_reservation", request=NothingIn, responses={200: ReservationOut})
    def post(self, request: Request, provider: str, metric: str, reservation_id: str) -> Response:  # noqa: ARG002
        """Give back all that it holds. Twice is once. The body is an empty object, or none."""
        self.open("tabular_store")
        if self.raw_body():
            self.body(NothingIn)
        return self.answered(provider, metric, release(self.context, provider, metric, reservation_id))


class TopUpView(_Reservations):
    """More for a running reservation."""

    @extend_schema(operation_id="top_up_reservation", request=TopUpIn, responses={200: ReservationOut})
    def post(self, request: Request, provider: str, metric: str, reservation_id: str) -> Response:  # noqa: ARG002
        """Hold more, and longer if asked; over a hard limit the answer is 429, and it holds what it held before."""
        self.open("tabular_store")
        body = self.body(TopUpIn)
        topped = top_up(
            self.context, provider, metric, reservation_id, body.amount, seconds=body.ttl_seconds, key=self.operation_id
        )
        return self.answered(provider, metric, topped)


_ONE: Final = "analytics/budgets/<str:provider>/<str:metric>/reservations/<str:reservation_id>"

urlpatterns: list[URLPattern] = [
    path("analytics/budgets/<str:provider>/<str:metric>/reserve", ReserveView.as_view(), name="budget-reserve"),
    path(_ONE, ReservationView.as_view(), name="budget-reservation"),
    path(f"{_ONE}/commit", CommitView.as_view(), name="budget-commit"),
    path(f"{_ONE}/release", ReleaseView.as_view(), name="budget-release"),
    path(f"{_ONE}/topup", TopUpView.as_view(), name="budget-top-up"),
]
