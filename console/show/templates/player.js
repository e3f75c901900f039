// The player's extras: jumping to segments, face boxes, maps over the picture, frame by frame, slow.
// Plain script, no dependency; the page plays without it. Times are milliseconds from the video's
// first frame, as in the verdict; each source has its own offset to them.
const startPlayer = () => {
  const player = document.querySelector(".player:not([data-started])");
  const video = player?.querySelector("video");
  if (!video) return;
  player.dataset.started = "";
  const SVG = "http://www.w3.org/2000/svg";
  const find = (selector) => player.querySelector(selector);
  const act = (name) => find(`[data-act="${name}"]`);
  const over = find(".over"), note = find(".stage-note"), bar = find(".bar-of-player");
  const [width, height] = [over.viewBox.baseVal.width, over.viewBox.baseVal.height];
  const frameMs = Number(player.dataset.frameMs);
  const beginMs = Number(player.dataset.startMs), endMs = Number(player.dataset.endMs);
  const make = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  // Where we are.
  const offset = () => {
    const playing = [...video.querySelectorAll("source")].find((s) => s.src === video.currentSrc);
    return Number(playing?.dataset.offsetMs ?? 0);
  };
  let shownMs = null; // of the frame on the screen, where the browser tells
  const now = () => shownMs ?? video.currentTime * 1000 - offset();
  const seek = (ms) => {
    shownMs = null;
    // A millisecond on: times are rounded, and the frame before must not be what is shown.
    const at = (Math.max(beginMs, ms) + 1 + offset()) / 1000;
    video.currentTime = Number.isFinite(video.duration) ? Math.min(at, video.duration) : at;
  };
  const pad = (n) => String(n).padStart(2, "0");
  const clock = (ms) => {
    const tenths = Math.max(0, Math.floor(ms / 100));
    return `${Math.floor(tenths / 600)}:${pad(Math.floor(tenths / 10) % 60)}.${tenths % 10}`;
  };

  // Segments: links in the page's table, in order of time.
  const segments = [...document.querySelectorAll("[data-segment]")]
    .map((link) => ({ link, start: Number(link.dataset.start), end: Number(link.dataset.end) }))
    .sort((a, b) => a.start - b.start);
  let current = null, looping = false;
  const go = (segment, play = true) => {
    current = segment;
    for (const other of segments) other.link.toggleAttribute("aria-current", false);
    segment.link.setAttribute("aria-current", "true");
    seek(segment.start);
    player.scrollIntoView({ block: "nearest" });
    if (play) video.play().catch(() => {});
  };
  const step = (by) => {
    const at = now();
    const next = by > 0 ? segments.find((s) => s.start > at + 20)
      : segments.findLast((s) => s.start < at - 400);
    if (next) go(next, !video.paused);
  };
  const loop = (on) => {
    looping = on;
    act("loop").setAttribute("aria-pressed", String(on));
    if (!on || !segments.length) return;
    const at = now();
    const inside = segments.find((s) => s.start <= at && at <= s.end);
    if (inside) current = inside;
    else go(current ?? segments.find((s) => s.start >= at) ?? segments[0]);
  };
  for (const segment of segments) {
    segment.link.addEventListener("click", (event) => {
      event.preventDefault();
      go(segment);
    });
  }
  find(".of-segments").hidden = !segments.length;

  // Boxes: fetched in stretches around what is shown, or carried by the page.
  const looks = new Map(); // face -> [[ms, box]]
  let fetching = false;
  const take = (answer) => {
    for (const [ms, face, box] of answer.looks) {
      if (!looks.has(face)) looks.set(face, []);
      looks.get(face).push([ms, box]);
    }
  };
  const fetchFaces = async () => {
    if (fetching || !player.dataset.facesUrl) return;
    fetching = true;
    let next = 0;
    try {
      while (next !== null) {
        const answer = await fetch(`${player.dataset.facesUrl}?start_ms=${next}`);
        if (!answer.ok) break;
        const part = await answer.json();
        take(part);
        next = part.next_ms;
        draw();
      }
    } catch { /* without boxes, then */ }
  };
  if (player.dataset.faces) take(JSON.parse(player.dataset.faces));

  // The last look at or before a time and the one after it; between two that are near, in between.
  const boxAt = (seen, ms) => {
    let low = 0, high = seen.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (seen[middle][0] <= ms) low = middle + 1; else high = middle;
    }
    const before = seen[low - 1], after = seen[low];
    if (before && after && after[0] - before[0] <= 1500) {
      const share = (ms - before[0]) / (after[0] - before[0]);
      return before[1].map((value, i) => value + share * (after[1][i] - value));
    }
    if (before && ms - before[0] <= 300) return before[1];
    return after && after[0] - ms <= 150 ? after[1] : null;
  };

  // Maps: the evidence's pictures, laid over the place they were cut from, near their moment.
  const maps = [...document.querySelectorAll(".evidence figure[data-at]")]
    .filter((figure) => figure.querySelector("img.map"))
    .map((figure) => ({
      ms: Number(figure.dataset.at), plugin: figure.dataset.plugin,
      crop: figure.dataset.crop.split(" ").map(Number), turned: Number(figure.dataset.turned),
      url: figure.querySelector("img.map").src,
      link: figure.querySelector("[data-show-map]"),
    }));
  const chosen = act("map"), opacity = act("opacity");
  for (const plugin of new Set(maps.map((map) => map.plugin))) {
    chosen.append(new Option(plugin, plugin));
  }
  if (new Set(maps.map((map) => map.plugin)).size > 1) chosen.append(new Option("all", "*"));
  for (const part of player.querySelectorAll(".of-maps")) part.hidden = !maps.length;
  for (const map of maps) {
    map.link?.addEventListener("click", (event) => {
      event.preventDefault();
      chosen.value = map.plugin;
      video.pause();
      seek(map.ms);
      player.scrollIntoView({ block: "nearest" });
    });
  }

  const draw = () => {
    const ms = now(), parts = [];
    for (const map of maps) {
      const wanted = chosen.value === "*" || chosen.value === map.plugin;
      if (!wanted || Math.abs(map.ms - ms) > 220) continue;
      const [x0, y0, x1, y1] = map.crop;
      const [w, h] = [(x1 - x0) * width, (y1 - y0) * height];
      // Crops stand upright; a face that lies in the picture is laid down again.
      parts.push(make("image", {
        href: map.url, x: x0 * width, y: y0 * height, width: w, height: h,
        preserveAspectRatio: "none", opacity: opacity.value / 100,
        transform: `rotate(${-map.turned} ${x0 * width + w / 2} ${y0 * height + h / 2})`,
      }));
    }
    if (act("boxes").checked) {
      const shown = Math.min(over.clientWidth / width, over.clientHeight / height) || 1;
      const size = 14 / shown;
      for (const [face, seen] of looks) {
        const box = boxAt(seen, ms);
        if (!box) continue;
        const [x, y] = [box[0] * width, box[1] * height];
        const place = { x, y, width: (box[2] - box[0]) * width, height: (box[3] - box[1]) * height };
        const group = make("g", { "data-face": face });
        const label = make("text", {
          x, y: Math.max(size, y - size / 3), "font-size": size, "stroke-width": size / 6,
        });
        label.textContent = `Face ${face}`;
        group.append(make("rect", place), make("rect", place), label);
        parts.push(group);
      }
    }
    over.replaceChildren(...parts);
    for (const head of heads) head.place(ms);
    find(".clock").textContent = `${clock(ms)} / ${clock(endMs || now())}`;
    act("play").textContent = video.paused ? "\u25b6" : "\u275a\u275a";
  };

  // Timelines: a playhead, and a click seeks.
  const heads = [...document.querySelectorAll("svg.timeline[data-end-ms]")].map((drawing) => {
    const [left, right, end] = ["left", "right", "endMs"].map((key) => Number(drawing.dataset[key]));
    const line = make("line", { class: "playhead", y1: 0, y2: drawing.viewBox.baseVal.height });
    drawing.append(line);
    drawing.classList.add("seeks");
    drawing.addEventListener("click", (event) => {
      if (event.target.closest("a")) return;
      const place = drawing.getBoundingClientRect();
      const x = (event.clientX - place.left) * drawing.viewBox.baseVal.width / place.width;
      seek(end * Math.max(0, Math.min(1, (x - left) / (right - left))));
    });
    return {
      place: (ms) => {
        const x = left + (right - left) * Math.max(0, Math.min(1, ms / end));
        line.setAttribute("x1", x);
        line.setAttribute("x2", x);
      },
    };
  });

  // What the browser shows, frame by frame where it tells, else as often as it says the time.
  const keepLoop = () => {
    if (looping && current && !video.paused && (now() >= current.end || now() < current.start - 50)) {
      seek(current.start);
    }
  };
  if ("requestVideoFrameCallback" in video) {
    const onFrame = (_, frame) => {
      shownMs = frame.mediaTime * 1000 - offset();
      keepLoop();
      draw();
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  }
  for (const name of ["timeupdate", "seeked", "play", "pause", "loadedmetadata", "ended"]) {
    video.addEventListener(name, () => { keepLoop(); draw(); });
  }
  video.addEventListener("loadedmetadata", () => {
    bar.hidden = false;
    find(".player-keys").hidden = false;
    fetchFaces();
  });

  // Slow, one frame at a time, over and over, full screen.
  const play = () => (video.paused ? video.play().catch(() => {}) : video.pause());
  const frame = (by) => {
    video.pause();
    seek(now() + by * frameMs);
  };
  const speed = (rate) => {
    video.playbackRate = rate;
    for (const other of player.querySelectorAll("[data-speed]")) {
      other.setAttribute("aria-pressed", String(Number(other.dataset.speed) === rate));
    }
  };
  const full = () => (document.fullscreenElement ? document.exitFullscreen()
    : find(".stage").requestFullscreen());
  const actions = {
    back: () => frame(-1), play, on: () => frame(1), previous: () => step(-1), next: () => step(1),
    loop: () => loop(!looping), full,
  };
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.speed) speed(Number(button.dataset.speed));
    else if (button) actions[button.dataset.act]();
  });
  bar.addEventListener("input", draw);
  const keys = {
    " ": play, k: play, ",": actions.back, ".": actions.on, ArrowLeft: actions.back,
    ArrowRight: actions.on, "[": actions.previous, "]": actions.next, l: actions.loop,
    p: actions.previous, n: actions.next,
  };
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    const typing = at.closest("input:not([type=checkbox]), textarea, select, dialog[open]");
    const own = at.closest("button, a, summary, [tabindex], input") && at !== video;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if (!player.isConnected) return;
    if (document.body.dataset.keys === "off" || bar.hidden) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // Space and arrows do what they always do on a control; N leads to the next video of a queue.
    if (own && (name === " " || name.startsWith("Arrow"))) return;
    if ((name === "n" || name === "p") && document.querySelector("[data-next]")) return;
    if (!keys[name]) return;
    event.preventDefault();
    keys[name]();
  });

  // What this browser cannot play has a rendition, which takes a moment to be made.
  const wait = async () => {
    const url = player.dataset.renditionUrl;
    if (!url) {
      note.textContent = "This browser cannot play the video.";
      return;
    }
    note.textContent = "A form of it that this browser plays is being made…";
    try {
      const answer = await fetch(url, { headers: { Range: "bytes=0-0" } });
      if (answer.status === 202) {
        const { state, done } = await answer.json();
        note.textContent = state === "queued" ? "Waiting for a worker to make it playable…"
          : `Being made playable: ${Math.round(done * 100)} %`;
      } else if (answer.ok) {
        note.textContent = "";
        for (const source of video.querySelectorAll("source")) {
          if (!source.src.endsWith(url)) source.remove();
        }
        video.load();
        return;
      } else {
        const problem = await answer.json();
        note.textContent = `It cannot be shown: ${problem.detail}`;
        return;
      }
    } catch { /* the server is away: ask again */ }
    setTimeout(wait, 1500);
  };
  // The script may come after the browser has tried them all.
  const last = video.querySelector("source:last-of-type");
  last?.addEventListener("error", wait, { once: true });
  video.addEventListener("error", wait, { once: true }); // in the middle of it
  if (video.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) wait();
  if (video.readyState >= HTMLMediaElement.HAVE_METADATA) video.dispatchEvent(new Event("loadedmetadata"));
  draw();
};
startPlayer();
document.addEventListener("fresh", startPlayer); // the verdict came while the page was open
