// SPDX-License-Identifier: Apache-2.0
// The page is whole without this script, which adds a choice of colours and a filter, and opens
// closed parts for links and for print.
"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const themes = ["automatic", "light", "dark"];
  const stored = () => {
    try { return localStorage.getItem("ffgrant-theme"); } catch { return null; }
  };
  const apply = (theme) => {
    if (theme === "automatic") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("ffgrant-theme", theme); } catch { /* not kept, then */ }
  };
  let theme = Math.max(0, themes.indexOf(stored()));
  button.addEventListener("click", () => {
    theme = (theme + 1) % themes.length;
    apply(themes[theme]);
  });
  apply(themes[theme]);
  button.hidden = false;

  for (const input of document.querySelectorAll("input[data-table]")) {
    const table = document.getElementById(input.dataset.table);
    const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
    const count = input.parentElement.querySelector("output");
    const details = table.closest("details");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = words.length ? `${shown} of ${rows.length}` : "";
      if (words.length && details) details.open = true;
    });
    input.parentElement.hidden = false;
  }

  // A link to what stands inside of a closed part opens this part.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.document:not([open])")];
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of closed) details.open = false; });
})();
