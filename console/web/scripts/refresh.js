// Looks again every two seconds while a part of the page says that something is unfinished, and
// puts that part alone in anew: forms, open menus and picked files stay. Without it: reload by hand.
let timer = 0;
const soon = () => {
  clearTimeout(timer);
  timer = setTimeout(again, 2000);
};
const again = async () => {
  const waiting = [...document.querySelectorAll("[data-live][data-again]")];
  if (!waiting.length) return;
  const busy = waiting.some((part) => part.contains(document.activeElement));
  if (!busy && !document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (page.querySelector("#decisions") && !document.querySelector("#decisions")) {
          // The verdict is there, and with it the form to decide.
          document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
        } else {
          for (const part of waiting) {
            const fresh = page.getElementById(part.id);
            if (fresh) part.replaceWith(document.adoptNode(fresh));
          }
        }
        document.dispatchEvent(new Event("fresh"));
      }
    } catch { /* the server is away: try again */ }
  }
  soon();
};
document.addEventListener("look", soon);
soon();
