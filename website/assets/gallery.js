// Sorts and filters the gallery. Without it the table is whole, in the order of `morphzoo list`.
"use strict";

(() => {
  const table = document.querySelector("table.gallery");
  if (!table) return;
  const form = document.querySelector("form.gallery-filters");
  const count = form.querySelector("output");
  const heads = [...table.querySelectorAll("th")];
  const bodies = [...table.tBodies]; // one a checkpoint, in the order of the page
  const collator = new Intl.Collator("en", { numeric: true });
  const params = new URLSearchParams(location.search);
  let column = 0;
  let descending = false;

  const value = (body) => body.rows[0].cells[column].dataset.value;

  function compare(first, second) {
    const [a, b] = [value(first), value(second)];
    if (a === "" || b === "") return (a === "") - (b === ""); // nothing known: last, both ways
    const number = !isNaN(a) && !isNaN(b);
    const order = number ? Number(a) - Number(b) : collator.compare(a, b);
    return descending ? -order : order;
  }

  function matches(body) {
    const { text, policy, env } = form.elements;
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const own = body.rows[0].textContent.toLowerCase();
    return (
      words.every((word) => own.includes(word)) &&
      (!policy.value || body.dataset.policy === policy.value) &&
      (!env.value || body.dataset.env === env.value)
    );
  }

  function show() {
    const sorted = [...bodies].sort(compare);
    table.append(...sorted);
    for (const body of bodies) body.hidden = !matches(body);
    for (const [i, head] of heads.entries()) {
      if (i === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const shown = bodies.filter((body) => !body.hidden).length;
    count.textContent =
      `${shown} of ${bodies.length} checkpoints, by ${heads[column].textContent.trim()}` +
      (descending ? ", descending" : "");
    remember();
  }

  function remember() {
    const now = new URLSearchParams();
    for (const field of ["text", "policy", "env"]) {
      if (form.elements[field].value) now.set(field, form.elements[field].value);
    }
    if (column || descending) now.set("sort", heads[column].dataset.key);
    if (descending) now.set("descending", "");
    const query = now.toString();
    history.replaceState(null, "", (query ? `?${query}` : location.pathname) + location.hash);
  }

  for (const [i, head] of heads.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    // Numbers are first asked for from the highest on, names from A on.
    const numeric = bodies.some((body) => body.rows[0].cells[i].classList.contains("number"));
    button.addEventListener("click", () => {
      descending = i === column ? !descending : numeric;
      column = i;
      show();
    });
    head.replaceChildren(button);
  }

  for (const field of ["text", "policy", "env"]) {
    if (params.has(field)) form.elements[field].value = params.get(field);
  }
  column = Math.max(0, heads.findIndex((head) => head.dataset.key === params.get("sort")));
  descending = params.has("descending");
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
})();
