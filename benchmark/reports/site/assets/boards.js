// The boards: filters, search, columns, order and the address that keeps them. DataTables sorts and draws.
"use strict";
(() => {
  const element = document.getElementById("boards");
  const tools = document.getElementById("tools");
  const status = document.getElementById("status");
  const first = JSON.parse(element.dataset.first);
  const names = [...element.tHead.rows[0].cells].map((cell) => cell.dataset.name);
  const selects = [...tools.querySelectorAll("select")];
  const boxes = [...tools.querySelectorAll("[name=column]")];
  const usual = boxes.filter((box) => box.checked).map((box) => box.value);
  const search = tools.elements.q;
  const ORDER = [[names.indexOf("rank"), "asc"], [names.indexOf("worst"), "desc"]];

  const table = new DataTable(element, {
    paging: false, info: false, autoWidth: false, order: ORDER,
    layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
    language: { zeroRecords: "No network is left: choose fewer filters." },
  });
  table.search.fixed("filters", (_text, _data, index) => {
    const row = table.row(index).node();
    return selects.every((select) => !select.value || row.dataset[select.name] === select.value);
  });

  // What is the same in every row is said above the table, and needs no column.
  function visible(name) {
    const select = selects.find((one) => one.dataset.column === name);
    const box = boxes.find((one) => one.value === name);
    return (!box || box.checked) && !(select && select.value && name !== "verdict");
  }

  function show() {
    names.forEach((name, place) => {
      const column = table.column(place);
      if (column.visible() !== visible(name)) column.visible(visible(name), false);
    });
    table.search(search.value).draw();
    const count = table.rows({ search: "applied" }).count();
    const chosen = selects.filter((one) => one.value).map((one) => (one.name === "images" ? `${one.value} images` : one.name === "eps" ? `eps ${one.value}` : one.value));
    status.textContent = `${count} ${count === 1 ? "row" : "rows"}${chosen.length ? ": " + chosen.join(", ") : ""}`;
  }

  function state() {
    const found = new URLSearchParams();
    for (const select of selects) if (select.value || first[select.name]) found.set(select.name, select.value);
    if (search.value) found.set("q", search.value);
    const columns = boxes.filter((box) => box.checked).map((box) => box.value);
    if (columns.join() !== usual.join()) found.set("columns", columns.join());
    const order = table.order().map(([place, direction]) => `${names[place]} ${direction}`);
    if (order.join() !== ORDER.map(([place, direction]) => `${names[place]} ${direction}`).join()) found.set("order", order.join());
    return found;
  }

  function restore(said) {
    const wanted = said.size ? said : new URLSearchParams(first);
    for (const select of selects) {
      select.value = wanted.get(select.name) ?? "";
      if (select.selectedIndex < 0) select.value = "";
    }
    search.value = wanted.get("q") ?? "";
    const columns = wanted.has("columns") ? wanted.get("columns").split(",") : usual;
    for (const box of boxes) box.checked = columns.includes(box.value);
    const order = (wanted.get("order") ?? "").split(",").map((part) => part.split(" "))
      .filter(([name, direction]) => names.includes(name) && ["asc", "desc"].includes(direction))
      .map(([name, direction]) => [names.indexOf(name), direction]);
    table.order(order.length ? order : ORDER);
    show();
  }

  const { keep, again } = keepInAddress({ state, restore, what: "view" });
  tools.addEventListener("input", () => { show(); keep(); });
  tools.addEventListener("submit", (event) => event.preventDefault());
  table.on("order", () => { if (!tools.hidden) keep(); });
  document.getElementById("reset").addEventListener("click", () => {
    history.replaceState(null, "", location.pathname + location.search);
    again();
  });

  // Two networks of one data set are compared on another page.
  const compare = document.getElementById("compare");
  let picked = [];
  element.addEventListener("change", ({ target }) => {
    if (!target.matches("[type=checkbox]")) return;
    picked = picked.filter((one) => one.value !== target.value);
    if (target.checked) picked = [...picked.filter((one) => one.dataset.dataset === target.dataset.dataset), target].slice(-2);
    for (const row of table.rows().nodes().toArray()) {
      const box = row.querySelector("[type=checkbox]");
      box.checked = picked.some((one) => one.value === box.value);
    }
    const chosen = picked.map((one, place) => ["ab"[place], one.value]);
    compare.href = `compare.html#${new URLSearchParams(chosen)}`;
    compare.textContent = chosen.length === 2 ? "Compare the two" : chosen.length ? "Choose one more" : "Compare two";
  });

  tools.hidden = false;
  element.classList.add("ready");
})();
