"use strict";
// What the page can do without pictures: light or dark, one plot at a time, lines on and off, tables in any order.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const press = (buttons, chosen) => buttons.forEach((one) => one.setAttribute("aria-pressed", String(one === chosen)));

  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.style.colorScheme
      ? root.style.colorScheme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.style.colorScheme = dark ? "light" : "dark";
  });

  const panels = all(".panel");
  const tabs = all(".tabs button");
  const open = (chosen) => {
    press(tabs, tabs[chosen]);
    panels.forEach((panel, k) => { panel.hidden = k !== chosen; });
  };
  tabs.forEach((tab, k) => tab.addEventListener("click", () => open(k)));
  if (tabs.length > 0) {
    document.querySelector(".tabs").hidden = false;
    open(0);
  }

  all(".legend button").forEach((button) => {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      all(`.plot [data-series="${button.dataset.series}"]`).forEach((line) => line.classList.toggle("off", !shown));
    });
  });

  // Cells that hold a number carry it; what has none comes last in either order.
  all("table.sortable").forEach((table) => {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      head.setAttribute("aria-sort", "none");
      head.tabIndex = 0;
      const sort = () => {
        const rising = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((one) => one.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        const key = (row) => row.children[column].dataset.value;
        const compare = (a, b) => {
          const [first, second] = [key(a), key(b)];
          if (first === undefined && second === undefined) {
            const order = a.children[column].textContent.localeCompare(b.children[column].textContent);
            return rising ? order : -order;
          }
          if (first === undefined || second === undefined) return first === undefined ? 1 : -1;
          return rising ? first - second : second - first;
        };
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        sort();
      });
    });
  });
})();
