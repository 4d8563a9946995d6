// The charts: a network that is pointed at, or chosen by name, stands out in every chart of its data set.
"use strict";
(() => {
  const specs = JSON.parse(document.getElementById("specs").textContent);

  for (const section of document.querySelectorAll("[data-section]")) {
    const readout = section.querySelector(".readout");
    const buttons = [...section.querySelectorAll("[data-network]")];
    const idle = readout.textContent;
    const views = [];
    let chosen = "";

    function focus(network) {
      for (const view of views) view.signal("focus", network).runAsync();
      for (const button of buttons) button.classList.toggle("focused", button.dataset.network === network);
    }

    for (const place of section.querySelectorAll("[data-chart]")) {
      const view = new vega.View(vega.parse(specs[place.dataset.chart]), { renderer: "svg", container: place, hover: false });
      view.addEventListener("pointermove", (_event, item) => {
        const datum = item && item.datum && (item.datum.network ? item.datum : null);
        focus(datum ? datum.network : chosen);
        if (datum && datum.accuracy !== undefined) {
          readout.textContent = `${datum.network}: ${datum.accuracy.toFixed(1)} % [${datum.low.toFixed(1)}, ${datum.high.toFixed(1)}] at eps ${datum.eps}`;
        }
      });
      place.addEventListener("pointerleave", () => focus(chosen));
      view.runAsync();
      views.push(view);
      new ResizeObserver(() => view.resize().runAsync()).observe(place);
    }

    for (const button of buttons) {
      button.addEventListener("click", () => {
        chosen = chosen === button.dataset.network ? "" : button.dataset.network;
        for (const one of buttons) one.setAttribute("aria-pressed", String(one.dataset.network === chosen));
        readout.textContent = chosen ? `${chosen}, with its 95 % interval` : idle;
        focus(chosen);
      });
      button.addEventListener("pointerenter", () => focus(button.dataset.network));
      button.addEventListener("pointerleave", () => focus(chosen));
    }
  }
})();
