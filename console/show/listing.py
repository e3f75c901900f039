"""`unmask plugins`: the catalogue as a table or JSON, without importing torch or any plugin."""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from detect_plugins.catalogue import CatalogueEntry, load_catalogue
from unmask.bundle import BundleCard, read_card
from unmask.errors import BundleRefused
from unmask.plugin import DetectorManifest
from unmask.settings import Settings
from workers.engines.manage import list_engines


def describe(entry: CatalogueEntry, settings: Settings) -> dict[str, Any]:
    """One plugin as plain values; what `plugins --json` and GET /v1/plugins return."""
    manifest = entry.manifest
    if manifest is None:
        return {"key": entry.key, "state": "broken", "error": str(entry.error)}
    weights = _weights(entry.key, entry.bundle_folder(settings.weights_dir))
    return {
        "key": entry.key,
        "state": "ready" if weights["state"] == "trained" else weights["state"],
        "title": manifest.title,
        "version": manifest.version,
        "summary": manifest.summary,
        "paper": manifest.paper.model_dump(),
        "crop_scale": manifest.crop_scale,
        **_network(manifest, weights),
        "licences": manifest.licences.model_dump(),
        "weights": weights,
        "engine": _engine(entry.key, weights["sha256"], settings),
    }


def _network(manifest: DetectorManifest, weights: dict[str, Any]) -> dict[str, Any]:
    """Of the loaded weights where there are any, else of the plugin's default architecture."""
    card: BundleCard | None = weights.pop("card", None)
    heatmap = manifest.map.model_dump()
    facts = card.network if card else None
    if facts is not None:
        heatmap |= {"height": facts.map_px, "width": facts.map_px}
    if card is not None and card.map_caption:
        heatmap["caption"] = card.map_caption
    return {
        "parameters": facts.parameters if facts else manifest.parameters,
        "gmacs": facts.gmacs if facts else manifest.gmacs,
        "trunk": facts.trunk if facts else None,
        "network_of": "the loaded weights" if facts else "the default architecture",
        "taught_by": card.taught_by if card else "",
        "no_signal": bool(card and card.no_signal),
        "input_px": int(card.architecture.get("input_px", manifest.input_px))
        if card
        else manifest.input_px,
        "map": heatmap,
    }


def _weights(key: str, folder: Path | None) -> dict[str, Any]:
    if folder is None:
        return {"state": "no_weights", "name": None, "sha256": None}
    try:
        card: BundleCard = read_card(folder, key)
    except BundleRefused as error:
        return {"state": "bundle_refused", "name": None, "sha256": None, "error": str(error)}
    return {
        "state": "trained" if card.trained else "untrained",
        "name": card.name,
        "sha256": card.sha256,
        "calibrated": card.calibration is not None,
        "finds": card.finds,
        "card": card,
        "folder": str(folder),
    }


def _engine(key: str, weights: str | None, settings: Settings) -> dict[str, Any]:
    """What the worker is told to use, and what is built for these very weights."""
    slot = weights[:12] if weights else "untrained"
    built = [
        row.engine
        for row in list_engines(settings)
        if row.plugin == key and row.weights == slot and not row.engine.startswith("reference")
    ]
    return {
        "wanted": settings.engine,
        "precision": settings.precision,
        "state": "built" if built else "built at first use",
        "built": built,
    }


def run_plugins(settings: Settings, *, as_json: bool) -> None:
    """Print the catalogue."""
    rows = [describe(entry, settings) for entry in load_catalogue().entries]
    if as_json:
        json.dump({"plugins": rows}, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    console = Console()
    for row in rows:
        console.print(_block(row))


def _block(row: dict[str, Any]) -> Text:
    """One plugin in at most five lines that fit a terminal of 80 columns."""
    if row["state"] == "broken":
        return Text.assemble(
            (row["key"], "bold"), "  ", ("broken", "bold red"), "\n  ", row["error"], "\n"
        )
    paper, heatmap, weights = row["paper"], row["map"], row["weights"]
    state = weights["state"].replace("_", " ")
    style = "green" if weights["state"] == "trained" else "yellow"
    found = f"{weights['name']}, {weights['sha256'][:12]}" if weights["sha256"] else state
    if weights.get("finds", "any") != "any":
        found += f", for {weights['finds']} faces"
    if row["no_signal"]:
        found, style = f"{found}, no better than chance", "bold red"
    trunk = f"{row['trunk']}, " if row["trunk"] else ""
    default = "" if row["trunk"] else " (default architecture)"
    taught = f"\n  taught by: {row['taught_by']}" if row["taught_by"] else ""
    return Text.assemble(
        (row["key"], "bold"),
        (f"  {row['version']}  ", "dim"),
        (f"{row['title']}\n", ""),
        (f"  {paper['title']} ({paper['venue']}, {paper['year']})\n", "dim"),
        f"  {row['input_px']} px, crop {row['crop_scale']:g} x face, "
        f"{trunk}{row['parameters'] / 1e6:.1f} M parameters, {row['gmacs']:.2f} GMacs{default}, "
        f"map: {heatmap['kind']} {heatmap['width']}x{heatmap['height']}\n",
        "  weights: ",
        (found, style),
        f"; engine: {', '.join(row['engine']['built']) or row['engine']['state']}{taught}\n",
    )
