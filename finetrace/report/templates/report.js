"use strict";
(() => {
  // What a link points to may be folded away: unfold all around it.
  const reveal = () => {
    let place = null;
    try { place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch (malformed) { return; }
    if (!place) return;
    for (let around = place; around; around = around.parentElement) if (around.tagName === "DETAILS") { around.hidden = false; around.open = true; }
    place.scrollIntoView({ block: place.classList.contains("back") ? "center" : "start" });
  };
  addEventListener("hashchange", reveal);
  reveal();
  document.addEventListener("click", (event) => {
    const link = event.target.closest ? event.target.closest("a") : null;
    const to = link && link.getAttribute("href");
    if (to && to === location.hash) reveal(); // the same link again changes no hash
  });

  // Values of a token: at the pointer, or by arrow keys within a focused completion or list of tokens.
  const tip = document.createElement("div");
  tip.id = "tip"; tip.hidden = true; tip.setAttribute("role", "status");
  document.body.append(tip);
  let at = null;
  const show = (token) => {
    if (at) at.classList.remove("at");
    at = token; tip.hidden = !token;
    if (!token) return;
    token.classList.add("at");
    tip.textContent = token.dataset.v;
    const box = token.getBoundingClientRect(), room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const above = box.top - tip.offsetHeight - 6;
    tip.style.left = Math.max(8, Math.min(box.left, room)) + "px";
    tip.style.top = (above < 0 ? box.bottom + 6 : above) + "px";
  };
  const tokenOf = (target) => (target instanceof Element ? target.closest(".tokens [data-v]") : null);
  document.addEventListener("pointerover", (event) => { const token = tokenOf(event.target); if (token || at) show(token); });
  document.addEventListener("focusin", (event) => { if (event.target.classList.contains("tokens")) show(event.target.querySelector("[data-v]")); });
  document.addEventListener("focusout", () => show(null));
  addEventListener("scroll", () => { if (at && document.activeElement !== at.closest(".tokens")) show(null); }, { passive: true });
  document.addEventListener("keydown", (event) => {
    const line = document.activeElement;
    if (event.key === "Escape") show(null);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !line || !line.classList.contains("tokens")) return;
    const tokens = [...line.querySelectorAll("[data-v]")], next = tokens[tokens.indexOf(at) + step];
    if (next) { show(next); event.preventDefault(); }
  });

  // Fold and unfold. Paper shows what is unfolded, so a run's own report unfolds for it, all but its longest lists.
  const folds = () => document.querySelectorAll("main details");
  for (const button of document.querySelectorAll("[data-fold]")) {
    button.hidden = false;
    button.addEventListener("click", () => folds().forEach((each) => { each.open = button.dataset.fold === "open"; }));
  }
  let opened = [];
  addEventListener("beforeprint", () => {
    if (document.querySelector("details.run")) return;
    opened = [...folds()].filter((each) => !each.open && !each.classList.contains("bulk"));
    opened.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));

  // A list of runs that narrows to what is typed.
  const field = document.querySelector("input[data-filter]");
  if (field) {
    field.closest(".filter").hidden = false;
    const runs = [...document.querySelectorAll("details.run")].map((run) => [run, run.querySelector("summary").textContent.toLowerCase()]);
    const tally = document.querySelector("[data-tally]");
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const [run, said] of runs) { run.hidden = !words.every((word) => said.includes(word)); left += !run.hidden; }
      tally.textContent = left + " of " + runs.length;
    });
  }
})();
