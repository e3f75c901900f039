"""/static/player.js: the same script that reports carry inside."""

from fastapi import APIRouter, Response

from console.show.report import player_script

router = APIRouter(include_in_schema=False)


@router.get("/static/player.js")
def script() -> Response:
    """Seeks, boxes, maps, frame by frame; without it the browser's own player plays."""
    headers = {"Cache-Control": "max-age=3600"}
    return Response(player_script(), media_type="text/javascript", headers=headers)
