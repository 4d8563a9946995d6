// The address of a page keeps what it shows, so that a link shows the same.
"use strict";
// state: () -> what is shown now. restore: shows what is wanted, URLSearchParams. what: that is shown, in words.
function keepInAddress({ state, restore, what }) {
  const status = document.getElementById("status");
  const keep = () => history.replaceState(null, "", `#${new URLSearchParams(state())}`);
  const again = () => restore(new URLSearchParams(location.hash.slice(1)));
  document.getElementById("share").addEventListener("click", async () => {
    keep();
    try {
      await navigator.clipboard.writeText(location.href);
      status.textContent = `The address of this ${what} is copied.`;
    } catch {
      status.textContent = `The address bar holds this ${what}.`;
    }
  });
  window.addEventListener("hashchange", again);
  again();
  return { keep, again };
}
