// Times in the reader's own zone, and pictures that are seen while they are held down.
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const passed = (ms) => {
  const minutes = Math.floor(ms / 60000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
};
const tell = () => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.textContent = "age" in time.dataset ? passed(Date.now() - at) : moment.format(at);
    time.title = `${moment.format(at)} (${time.dateTime.slice(0, 16).replace("T", " ")} UTC)`;
  }
};
const quiet = () => {
  for (const video of document.querySelectorAll(".care-mute .media video, .care-mute video.media")) video.muted = true;
};
const fresh = () => { tell(); quiet(); };
document.addEventListener("fresh", fresh);
setInterval(tell, 30000);
fresh();

// A held pointer shows one picture; the key V, held, shows all of them.
const show = (what, on) => what?.classList.toggle("is-shown", on);
let held = null;
document.addEventListener("pointerdown", (event) => { held = event.target.closest(".media"); show(held, true); });
for (const end of ["pointerup", "pointercancel", "dragend", "blur"]) {
  addEventListener(end, () => { show(held, false); held = null; show(document.body, false); });
}
const typing = (event) => event.target.closest("textarea, select, input:not([type=radio]):not([type=checkbox])");
const isV = (event) => event.key.toLowerCase() === "v" && !event.ctrlKey && !event.metaKey && !event.altKey;
document.addEventListener("keydown", (event) => {
  if (isV(event) && !typing(event) && document.body.dataset.keys !== "off") show(document.body, true);
});
document.addEventListener("keyup", (event) => { if (isV(event)) show(document.body, false); });
