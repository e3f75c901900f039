// Looks again every two seconds while <main> says that something is unfinished. The page works
// without it: reload by hand.
const again = async () => {
  const main = document.querySelector("main");
  if (!("refresh" in main.dataset)) return;
  const busy = main.contains(document.activeElement) && document.activeElement !== document.body;
  if (!busy && !document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        main.replaceWith(document.adoptNode(page.querySelector("main")));
      }
    } catch { /* the server is away: try again */ }
  }
  setTimeout(again, 2000);
};
setTimeout(again, 2000);
