"""Every address of media below /api/v1."""

from django.urls import URLPattern, path

from media.api.views import CompleteView, ContentView, MediaListView, MediaView, PresignMediaView, ThumbnailView

urlpatterns: list[URLPattern] = [
    path("media", MediaListView.as_view(), name="media"),
    path("media/presign", PresignMediaView.as_view(), name="media-presign"),
    path("media/<uuid:media_id>", MediaView.as_view(), name="media-output"),
    path("media/<uuid:media_id>/content", ContentView.as_view(), name="media-content"),
    path("media/<uuid:media_id>/thumbnail", ThumbnailView.as_view(), name="media-thumbnail"),
    path("media/<uuid:media_id>/complete", CompleteView.as_view(), name="media-complete"),
]
