// Keys for everything a moderator does, and holding what is being looked at. Without it: by mouse,
// and what is held goes back to its queue when its time is over.
const main = document.querySelector("main");
const decide = () => document.querySelector("[data-decide]");
const help = () => document.querySelector("#keys");
let leaving = false;

// What is held is held on to while the page is open, and let go when it is left for another.
const hold = async () => {
  if (leaving || document.hidden) return;
  try {
    const answer = await fetch(main.dataset.hold, { method: "POST" });
    if (answer.status === 409) lost();
  } catch { /* the server is away: the lease still runs */ }
};
const lost = () => {
  if (document.querySelector(".lost")) return;
  const said = document.createElement("p");
  said.className = "caveat lost";
  said.setAttribute("role", "alert");
  said.textContent = "Somebody else holds this video by now, or it is decided. Take the next one from the queue.";
  document.querySelector("#decisions").prepend(said);
};
if (main.dataset.hold) {
  hold();
  setInterval(hold, 1000 * Number(main.dataset.every));
  document.addEventListener("submit", () => { leaving = true; });
  addEventListener("pagehide", () => { if (!leaving) navigator.sendBeacon(main.dataset.leave); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

// What was written survives a refusal, an undo and a reload.
const words = document.querySelector("[data-decide] textarea");
if (words) {
  const key = `draft ${location.pathname.replace(/\/decisions$/, "")}`;
  words.value ||= sessionStorage.getItem(key) ?? "";
  words.addEventListener("input", () => sessionStorage.setItem(key, words.value));
}

// The way back closes when its time is over.
const undo = document.querySelector(".undo");
if (undo) {
  const left = new Date(undo.dataset.until) - Date.now();
  setTimeout(() => undo.remove(), Math.max(0, left));
}

const open = (id) => {
  const part = document.getElementById(id);
  if (!part) return;
  part.open = true;
  part.querySelector("select, input").focus();
};
const act = {
  "?": () => help()?.showModal(),
  n: () => document.querySelector("[data-next]")?.requestSubmit(),
  z: () => document.querySelector("[data-undo]")?.requestSubmit(),
  s: () => open("skip"),
  b: () => open("snooze"),
  e: () => open("escalate"),
  w: () => document.querySelector("[data-decide] textarea")?.focus(),
  Enter: () => decide()?.requestSubmit(),
};
const isText = (element) => element.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");
document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (event.defaultPrevented || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (isText(at)) {
    if (event.key === "Escape") at.blur();
    if (event.key === "Enter" && event.ctrlKey) decide()?.requestSubmit();
    return;
  }
  if (event.ctrlKey || document.body.dataset.keys === "off") return;
  // Buttons, links and menus keep their own Enter.
  if (event.key === "Enter" && at.closest("button, a, summary")) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const box = decide()?.querySelector(`[data-key="${CSS.escape(name)}"]`);
  if (box) {
    box.click();
    box.focus();
  } else if (act[name]) {
    act[name]();
  } else {
    return;
  }
  event.preventDefault();
});
main.dataset.listens = "";
