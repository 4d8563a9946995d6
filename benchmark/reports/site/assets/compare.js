// Of all pairs the one that is chosen, and the address that keeps it.
"use strict";
(() => {
  const tools = document.getElementById("tools");
  const status = document.getElementById("status");
  const pairs = [...document.querySelectorAll("[data-pair]")];
  const { a, b } = tools.elements;

  function show() {
    const key = [a.value, b.value].sort().join("|");
    for (const pair of pairs) pair.classList.toggle("chosen", pair.dataset.pair === key);
    const found = pairs.some((pair) => pair.classList.contains("chosen"));
    status.textContent = found ? "" : a.value === b.value ? "Choose another network to compare it with." : "These two are on no image in common.";
  }

  function restore(wanted) {
    const [one, other] = JSON.parse(tools.dataset.first);
    a.value = wanted.get("a") ?? one;
    b.value = wanted.get("b") ?? other;
    show();
  }

  const { keep } = keepInAddress({ state: () => ({ a: a.value, b: b.value }), restore, what: "comparison" });
  tools.addEventListener("change", () => { keep(); show(); });
  tools.hidden = false;
})();
