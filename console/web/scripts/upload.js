// Several videos at once, picked or dropped, each with its progress. Without it: one, by the form.
const form = document.querySelector("form.upload");
const picked = form.querySelector("input[type=file]");
const list = form.querySelector(".uploads");
const waiting = [];
let sending = false;
picked.multiple = true;
form.querySelector(".drop-hint").hidden = false;

const line = (file) => {
  const item = list.appendChild(document.createElement("li"));
  const bar = document.createElement("progress");
  const said = document.createElement("span");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Sent of ${file.name}`);
  said.textContent = file.name;
  item.append(said, " ", bar);
  return { item, bar, said };
};
const link = (shown, file, job, alone) => {
  const anchor = document.createElement("a");
  anchor.href = `${form.action.split("?")[0].replace(/\/$/, "")}/jobs/${job.id}`;
  if (alone) location.assign(anchor.href);
  anchor.textContent = file.name;
  shown.said.replaceChildren(anchor, ": handed in");
};
const refused = (shown, file, request) => {
  let why = "the connection broke; try it again";
  try {
    const told = JSON.parse(request.responseText);
    why = `${told.detail} ${told.fix}`;
  } catch { /* no answer of ours */ }
  shown.said.textContent = `${file.name}: ${why}`;
  shown.item.classList.add("is-refused");
};
const next = () => {
  const one = waiting.shift();
  sending = Boolean(one);
  if (!one) return;
  const { file, shown, alone } = one;
  const request = new XMLHttpRequest();
  const body = new FormData();
  body.append("file", file);
  request.open("POST", form.dataset.to);
  request.upload.addEventListener("progress", (event) => { shown.bar.value = event.loaded / event.total; });
  request.addEventListener("loadend", () => {
    shown.bar.remove();
    sending = waiting.length > 0;
    if (request.status >= 200 && request.status < 300) link(shown, file, JSON.parse(request.responseText), alone);
    else refused(shown, file, request);
    const found = document.querySelector("#found");
    if (found) {
      found.dataset.again = "";
      document.dispatchEvent(new Event("look"));
    }
    next();
  });
  request.send(body);
};
const send = (files) => {
  // One by itself leads to its own page, as the form without this script does.
  const alone = files.length === 1 && !sending;
  for (const file of files) waiting.push({ file, shown: line(file), alone });
  if (!sending) next();
};
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send([...picked.files]);
  picked.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("is-over"); });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, () => form.classList.remove("is-over"));
}
document.addEventListener("drop", (event) => {
  event.preventDefault();
  send([...(event.dataTransfer?.files ?? [])]);
});
addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });
