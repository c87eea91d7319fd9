// Shows the runs that are under way. Everything is put there as text: a name may hold anything.
"use strict";

(() => {
  const place = document.getElementById("penstock-live");
  if (!place) return;
  const columns = ["node", "use", "in", "out", "filtered", "failed", "rate/s"];
  let shown = false;

  const element = (name, text, ...inside) => {
    const made = document.createElement(name);
    if (text !== null) made.textContent = text;
    made.append(...inside);
    return made;
  };

  const row = (kind, texts) => element("tr", null, ...texts.map((text) => element(kind, text)));

  const head = (run) => {
    const done = run.total ? `${run.done} of ${run.total} items` : `${run.done} read`;
    const chunks = run.chunks ? `, ${run.chunks}` : "";
    return `${run.pipeline}: ${done}${chunks}, ${run.seconds.toFixed(0)} s`;
  };

  const card = (run) => {
    const table = element("table", null, row("th", columns));
    for (const node of run.nodes) table.append(row("td", columns.map((column) => node[column])));
    const title = element("h3", null);
    title.append(run.url ? Object.assign(element("a", head(run)), { href: run.url }) : head(run));
    const made = element("section", null, title);
    if (run.total) {
      made.append(Object.assign(element("progress", null), { max: run.total, value: run.done }));
    }
    made.append(table);
    return made;
  };

  const look = async () => {
    const answer = await fetch(place.dataset.url, { headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected) {
      place.replaceChildren(element("p", "log in again to see what is under way"));
      return;
    }
    const runs = (await answer.json()).runs;
    place.replaceChildren(...runs.map(card));
    const chosen = document.querySelector("input.action-select:checked");
    if (shown && !runs.length && !chosen) {
      location.reload(); // the last one has ended: its report is there
      return;
    }
    shown = runs.length > 0;
    setTimeout(look, 1000);
  };

  // A server that is away for a moment does not end it.
  const again = () => look().catch(() => setTimeout(again, 5000));
  again();
})();
