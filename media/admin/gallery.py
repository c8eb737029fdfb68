"""The gallery: what was stored, by session and user, to look at, download, verify and delete."""

from mimetypes import guess_extension
from typing import Any, ClassVar

from django import forms
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from media.api.answers import content_answer, thumbnail_answer
from media.errors import DamagedMedia
from media.pictures import THUMBNAIL_TYPE
from media.reading import get_thumbnail, has_thumbnail, list_media, verify_media
from media.records import DAMAGED, INTACT, MISSING, Media
from media.rows import MediaRow, MediaRows
from media.services import delete_media
from northstar.errors import NotFound
from routing.admin.stores import ActionForm, Done, Question, StoreAction, StorePage, Visit, store_page
from routing.admin_site import STORES
from routing.audit import Cause
from routing.showing import BAD, GOOD

PAGE_SIZE = 24
TONES = {INTACT: GOOD, DAMAGED: BAD, MISSING: BAD}
NO_PICTURE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 120"><path d="M40 90l28-36 20 24 14-16 20 28z" fill="#8a94a6"/>'
    b'<circle cx="108" cy="44" r="9" fill="#8a94a6"/><path d="M30 20l100 84" stroke="#8a94a6" stroke-width="5"/></svg>'
)


def rows_of(visit: Visit) -> MediaRows:
    """Return the rows of the visit's place."""
    return MediaRows(visit.open("tabular_store"))


def row_of(visit: Visit) -> MediaRow:
    """Return the media output that the address names. Raises NotFound."""
    return rows_of(visit).row(visit.asked("media_id"))


class DeleteForm(ActionForm):
    """Why it is deleted."""

    rationale = forms.CharField(
        label="Reason", max_length=1000, help_text="Stands in the audit trail.", widget=forms.TextInput({"size": 60})
    )


class Delete(StoreAction):
    """Remove a media output, bytes and all."""

    slug = "delete"
    title = "Delete a media output"
    verb = "Delete it"
    audit_action = "MEDIA_DELETED"
    danger = True
    form_class = DeleteForm

    def question(self, visit: Visit) -> Question:
        """Say what will be gone."""
        media = row_of(visit).media
        return Question(
            "Its bytes and everything that is known of it will be gone. Nobody can bring it back.",
            f"media:{media.media_id}",
            visit.address("output", media_id=media.media_id),
            facts=[("Media output", media.media_id), ("Type", media.mime_type), ("Session", media.session_id)],
            before=media.model_dump(
                mode="json", include={"media_id", "session_id", "user_id", "mime_type", "size_bytes", "checksum_sha256"}
            ),
        )

    def carry_out(self, visit: Visit, asked: Question, given: dict[str, Any], cause: Cause) -> Done:
        """Delete it."""
        media_id = visit.asked("media_id")
        delete_media(visit.context, media_id)
        return Done(f"The media output {media_id} was deleted.", visit.address())

    def after(self, given: dict[str, Any]) -> None:
        """Nothing is left of it."""


class Verify(StoreAction):
    """Read all bytes of a media output and compare them. It changes nothing but what is known of their state."""

    slug = "verify"
    title = "Verify a media output"
    verb = "Verify it now"

    def question(self, visit: Visit) -> Question:
        """Say what it takes."""
        media = row_of(visit).media
        return Question(
            "All of its bytes are read from where they lie, and compared with the checksum of the upload.",
            f"media:{media.media_id}",
            visit.address("output", media_id=media.media_id),
            facts=[("Media output", media.media_id), ("Bytes", media.size_bytes), ("SHA-256", media.checksum_sha256)],
        )

    def carry_out(self, visit: Visit, asked: Question, given: dict[str, Any], cause: Cause) -> Done:
        """Verify it."""
        media = verify_media(visit.context, visit.asked("media_id"))
        return Done(f"The media output {media.media_id} is {media.integrity}.", asked.back)


@store_page
class MediaPage(StorePage):
    """Media outputs. The list and the facts ask no object store; pictures and downloads do."""

    slug = "media"
    title = "Media"
    section = STORES
    lead = "What was stored for sessions and users: pictures, sounds, films and files."
    kind = "object_store"
    views: ClassVar[dict[str, str]] = {"output": "output", "content": "content", "thumbnail": "thumbnail"}
    actions: ClassVar[tuple[type[StoreAction], ...]] = (Delete, Verify)

    def show(self, visit: Visit) -> HttpResponse:
        """Show the newest media first, or those of a session or a user."""
        query = {name: visit.asked(name).strip() for name in ("session_id", "user_id")}
        rows = rows_of(visit)
        after = visit.after(*query.values())
        found = list_media(
            rows,
            session_id=query["session_id"] or None,
            user_id=query["user_id"] or None,
            limit=PAGE_SIZE,
            after=after,
            newest_first=True,
        )
        cards = [_card(visit, media) for media in found.items]
        pager = visit.pager(after, found.next_after, query)
        return visit.answer("media/gallery", query=query, cards=cards, pager=pager)

    def output(self, visit: Visit) -> HttpResponse:
        """Show everything that is known of one media output."""
        media = row_of(visit).media
        return visit.answer(
            "media/output",
            f"Media output {media.media_id}",
            media=media,
            card=_card(visit, media),
            verify=visit.address("verify", media_id=media.media_id),
        )

    def content(self, visit: Visit) -> HttpResponseBase:
        """Give the bytes, as the API does."""
        rows = rows_of(visit)
        return content_answer(visit.request, visit.context, rows, rows.row(visit.asked("media_id")))[0]

    def thumbnail(self, visit: Visit) -> HttpResponse:
        """Give a small picture, or one that says that there is none: a list is not spoilt by one bad image."""
        try:
            return thumbnail_answer(get_thumbnail(visit.context, visit.asked("media_id")), THUMBNAIL_TYPE)
        except (NotFound, DamagedMedia):
            return HttpResponse(NO_PICTURE, content_type="image/svg+xml", headers={"Cache-Control": "no-store"})


def _card(visit: Visit, media: Media) -> dict[str, Any]:
    """Return what the gallery shows of a media output, and where its links lead."""
    media_id = media.media_id
    return {
        "media": media,
        "tone": TONES[media.integrity],
        "word": _word(media.mime_type),
        "to": visit.address("output", media_id=media_id),
        "picture": visit.address("thumbnail", media_id=media_id) if has_thumbnail(media) else None,
        "download": visit.address("content", media_id=media_id),
        "delete": visit.address("delete", media_id=media_id) if visit.may_act else None,
        "of_session": visit.address(session_id=media.session_id),
        "of_user": visit.address(user_id=media.user_id) if media.user_id else None,
    }


def _word(mime_type: str) -> str:
    """Return what stands in place of a picture: the usual ending of such a file, else what sort of thing it is."""
    plain = mime_type.partition(";")[0].strip()
    return (guess_extension(plain) or "").removeprefix(".") or plain.partition("/")[0]
