"""Routes in the back office: same validation, guard, audit and events as the API."""

import json

import pytest

from routing.changes import create_route, update_route
from routing.changes.routes import RouteUpdate
from routing.models import OutboxEntry, Route, RouteChange
from storage.registry import BACKENDS
from tests.admin.conftest import Tags
from tests.routing.conftest import CAUSE, draft
from tests.routing.vault import CANARY

ADD = "/admin/routing/route/add/"


def typed(**changes) -> dict[str, str]:
    """What a browser sends for a new route."""
    return {
        "resource_kind": "tabular_store",
        "tenant": "acme",
        "env": "dev",
        "project_id": "",
        "backend_type": "vault",
        "enabled": "on",
        "tier": "",
        "cost_notes": "",
        "rationale": "",
        "config-vault-documents-place": "here",
        "config-vault-documents-password": "",
        "config-vault-documents-pool": "4",
        **changes,
    }


def retyped(**changes) -> dict[str, str]:
    """What a browser sends for a stored route: its key is text on the page, so it is not sent."""
    fixed = {"resource_kind", "tenant", "env", "project_id"}
    return {name: value for name, value in typed(**changes).items() if name not in fixed}


def page_of(route: Route) -> str:
    return f"/admin/routing/route/{route.pk}/change/"


def errors(response) -> dict[str, list[str]]:
    return dict(response.context["adminform"].form.errors)


def test_a_route_is_created_with_audit_and_events(boss, acme):
    response = boss.post(ADD, typed(tier="pro"))
    assert response.status_code == 302, errors(response)
    route = Route.objects.get()
    assert (route.config, route.tier, route.created_by) == ({"place": "here"}, "pro", "user:alice")
    assert RouteChange.objects.first().action == "ROUTE_CREATED"
    assert OutboxEntry.objects.count() == 2


def test_a_switch_records_the_rationale_that_was_typed(boss, acme):
    route = create_route(draft(), CAUSE)
    changed = retyped(**{"config-vault-documents-place": "there", "rationale": "cheaper", "seen_revision": "1"})
    assert boss.post(page_of(route), changed).status_code == 302
    route.refresh_from_db()
    assert (route.config, route.switch_rationale, route.revision) == ({"place": "there"}, "cheaper", 2)
    change = RouteChange.objects.first()
    assert (change.action, change.actor) == ("ROUTE_BACKEND_SWITCHED", "user:alice")


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"config-vault-documents-place": ""}, "config-vault-documents-place", "required"),
        ({"config-vault-documents-pool": "99"}, "config-vault-documents-pool", "64"),
        ({"config-vault-documents-password": "env:HOME"}, "config-vault-documents-password", "env:NORTHSTAR_SECRET_"),
        ({"backend_type": "nowhere"}, "backend_type", "not one of the available choices"),
        ({"backend_type": "s3"}, "backend_type", "No driver serves resource_kind=tabular_store"),
        ({"resource_kind": "event_stream", "backend_type": "weak"}, "backend_type", "ordered_scan"),
        ({"tenant": "nobody"}, "tenant", "There is no tenant “nobody”."),
        ({"env": "Dev"}, "env", ""),
        ({"resource_kind": "teapot"}, "resource_kind", ""),
    ],
)
def test_a_refusal_lands_on_the_field_that_caused_it_and_writes_nothing(boss, acme, changes, field, words):
    rows = RouteChange.objects.count()
    response = boss.post(ADD, typed(**changes))
    assert response.status_code == 200
    assert list(errors(response)) == [field]
    assert words in str(errors(response)[field])
    assert (Route.objects.count(), RouteChange.objects.count()) == (0, rows)


def test_a_second_route_with_the_same_key_is_refused(boss, acme):
    create_route(draft(), CAUSE)
    response = boss.post(ADD, typed())
    assert "There is a route for this kind, tenant, env and project" in str(errors(response)["__all__"])
    assert Route.objects.count() == 1


def test_the_filesystem_is_refused_for_a_sellable_tenant(boss, initech):
    response = boss.post(ADD, typed(tenant="initech", backend_type="filesystem"))
    assert "is not allowed in mode saas" in str(errors(response)["backend_type"])
    assert not Route.objects.exists()


def test_a_switch_of_a_sellable_tenant_asks_for_the_rationale(boss, initech):
    route = create_route(draft("initech"), CAUSE)
    changed = retyped(**{"config-vault-documents-place": "there", "seen_revision": "1"})
    assert list(errors(boss.post(page_of(route), changed))) == ["rationale"]


def test_a_form_opened_before_somebody_elses_change_is_refused(boss, acme):
    route = create_route(draft(), CAUSE)
    update_route(route.pk, RouteUpdate(tier="theirs"), CAUSE)
    response = boss.post(page_of(route), retyped(tier="mine", seen_revision="1"))
    assert "revision 2, not 1" in str(errors(response)["__all__"])
    assert Route.objects.get().tier == "theirs"


def test_the_key_of_a_route_cannot_be_changed(boss, acme, globex):
    route = create_route(draft(), CAUSE)
    boss.post(
        page_of(route), typed(tenant="globex", env="prod", resource_kind="event_stream", seen_revision="1", tier="x")
    )
    route.refresh_from_db()
    assert (route.tenant_id, route.env, route.resource_kind, route.tier) == ("acme", "dev", "tabular_store", "x")


def test_a_secret_is_typed_once_and_never_shown(boss, acme):
    boss.post(ADD, typed(**{"config-vault-documents-password": CANARY}))
    route = Route.objects.get()
    assert route.config["password"] == "****"
    pages = [page_of(route), "/admin/routing/route/", "/admin/routing/routechange/", f"{page_of(route)}../history/"]
    pages.append(f"/admin/routing/routechange/{RouteChange.objects.first().pk}/change/")
    for page in pages:
        assert CANARY not in boss.get(page, follow=True).content.decode()
    assert "Set. Leave it empty to keep it." in boss.get(page_of(route)).content.decode()


def test_a_secret_left_empty_is_kept_and_a_ticked_box_removes_it(boss, acme):
    boss.post(ADD, typed(**{"config-vault-documents-password": CANARY}))
    route = Route.objects.get()
    boss.post(page_of(route), retyped(tier="x", seen_revision="1"))
    route.refresh_from_db()
    assert (route.config["password"], route.tier) == ("****", "x")
    boss.post(page_of(route), retyped(**{"config-vault-documents-password-clear": "on", "seen_revision": "2"}))
    route.refresh_from_db()
    assert route.sealed_secrets == ""


def test_a_reference_is_typed_as_text_and_shown(boss, acme):
    boss.post(ADD, typed(**{"config-vault-documents-password": "env:NORTHSTAR_SECRET_VAULT"}))
    route = Route.objects.get()
    assert route.config["password"] == {"$secret": "env:NORTHSTAR_SECRET_VAULT"}
    assert "the reference env:NORTHSTAR_SECRET_VAULT" in boss.get(page_of(route)).content.decode()


def test_the_form_helps_with_every_backends_config(boss, acme):
    html = boss.get(ADD).content.decode()
    assert "Required. Where the data lies." in html
    assert "config-filesystem-documents-base_dir" in html
    assert "config-filesystem-blobs-base_dir" in html


def test_help_texts_are_shown_whole_whatever_signs_they_hold(boss, acme):
    html = boss.get(ADD).content.decode()
    assert "https://&lt;account&gt;.documents.azure.com" in html
    assert "<code>routes prepare</code>" in html


def test_a_secret_can_be_removed_only_where_one_is_stored(boss, acme):
    box = "config-vault-documents-password-clear"
    assert box not in boss.get(ADD).content.decode()
    boss.post(ADD, typed(**{"config-vault-documents-password": CANARY}))
    assert box in boss.get(page_of(Route.objects.get())).content.decode()


def test_a_secret_in_a_refused_form_is_asked_for_again_lest_the_next_save_has_none(boss, acme):
    mistyped = typed(**{"config-vault-documents-password": CANARY, "config-vault-documents-pool": "99"})
    response = boss.post(ADD, mistyped)
    assert "Give it again" in str(errors(response)["config-vault-documents-password"])
    assert CANARY not in response.content.decode()


def test_saving_says_how_to_prepare_the_service_and_a_switch_that_data_stays(boss, acme):
    response = boss.post(ADD, typed(), follow=True)
    command = "python manage.py routes prepare --tenant acme --env dev --kind tabular_store"
    assert f"Create what its service needs: {command}" in response.content.decode()
    page = page_of(Route.objects.get())
    assert command not in boss.post(page, retyped(tier="x", seen_revision="1"), follow=True).content.decode()
    moved = retyped(**{"config-vault-documents-place": "there", "seen_revision": "2"})
    assert "What was stored so far stays where it was." in boss.post(page, moved, follow=True).content.decode()


def test_an_endpoint_that_is_not_allowed_is_refused_at_its_field_with_the_way_out(boss, acme):
    fields = {"region": "eu-west-1", "endpoint": "http://192.0.2.1"}
    cloud = {f"config-dynamodb-documents-{name}": value for name, value in fields.items()}
    response = boss.post(ADD, typed(backend_type="dynamodb", **cloud))
    assert "NORTHSTAR_ALLOWED_ENDPOINTS" in str(errors(response)["config-dynamodb-documents-endpoint"])


def test_deleting_goes_through_the_trail_one_by_one_and_in_bulk(boss, acme):
    routes = [create_route(draft(env=env), CAUSE) for env in ("dev", "staging", "prod")]
    boss.post(f"/admin/routing/route/{routes[0].pk}/delete/", {"post": "yes"})
    chosen = [str(route.pk) for route in routes[1:]]
    boss.post("/admin/routing/route/", {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert not Route.objects.exists()
    deleted = RouteChange.objects.filter(action="ROUTE_DELETED", actor="user:alice")
    assert deleted.count() == 3


def test_the_list_filters_and_searches(boss, acme, globex):
    create_route(draft(), CAUSE)
    create_route(draft("globex", env="prod"), CAUSE)
    for query, there, absent in (
        ("?env=prod", "globex", "acme"),
        ("?q=acme", "acme", "globex"),
        ("?backend_type=vault", "acme", "x"),
    ):
        rows = boss.get(f"/admin/routing/route/{query}").context["cl"].queryset
        names = {route.tenant_id for route in rows}
        assert there in names
        assert absent not in names


def test_the_history_of_a_route_is_its_part_of_the_trail(boss, acme):
    route = create_route(draft(), CAUSE)
    create_route(draft(env="prod"), CAUSE)
    response = boss.get(f"/admin/routing/route/{route.pk}/history/", follow=True)
    assert [change.route_id for change in response.context["cl"].queryset] == [route.pk]


def test_the_list_costs_the_same_queries_for_many_routes(boss, acme, django_assert_max_num_queries):
    for env in ("a", "b", "c", "d", "e"):
        create_route(draft(env=env), CAUSE)
    with django_assert_max_num_queries(12):
        boss.get("/admin/routing/route/")


def test_the_script_of_the_form_is_a_module_and_knows_what_to_show(boss, acme):
    found = Tags(boss.get(ADD).content.decode()).found
    scripts = [attrs for tag, attrs in found if tag == "script" and "route_form" in (attrs.get("src") or "")]
    assert [attrs["type"] for attrs in scripts] == ["module"]
    backend = next(attrs for _, attrs in found if attrs.get("id") == "id_backend_type")
    assert json.loads(backend["data-primitives"] or "")["object_store"] == "blobs"
    groups = [
        attrs["class"] for tag, attrs in found if tag == "fieldset" and "northstar-config" in (attrs.get("class") or "")
    ]
    assert any({"backend-vault", "primitive-documents"} <= set(group.split()) for group in groups)


def test_a_new_route_begins_with_no_backend_chosen_and_offers_those_that_have_a_driver(boss, acme):
    offered = [name for name, _ in boss.get(ADD).context["adminform"].form.fields["backend_type"].choices]
    assert offered[0] == ""
    assert "filesystem" in offered
    assert "dynamodb" in offered
    assert set(offered[1:]) == {name for name, backend in BACKENDS.items() if any(backend.serves.values())}


def test_a_viewer_sees_the_config_without_its_secret(boss, member, acme):
    boss.post(ADD, typed(**{"config-vault-documents-password": CANARY}))
    page = member("viewer").get(page_of(Route.objects.get())).content.decode()
    assert "place: here" in page
    assert "password: ****" in page
    assert "config-vault" not in page.lower()
    assert CANARY not in page
