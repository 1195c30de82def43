"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const make = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const SHOWN = 14; // entries of an actor beside the slider
  const say = (text) => { $("said").textContent = text; };

  // Copying: where the clipboard may not be used, the text is selected instead.
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const text = $(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
        say("Copied");
      } catch {
        getSelection().selectAllChildren(text);
        let done = false;
        try { done = document.execCommand("copy"); } catch { done = false; }
        button.textContent = done ? "Copied" : "Selected";
        say(done ? "Copied" : "Selected: copy it with the keyboard");
      }
    });
  }

  // The sentence of an arrow or of a wait, beside it.
  const tip = $("tip");
  const show = (target) => {
    tip.textContent = target.getAttribute("aria-label");
    tip.hidden = false;
    const box = target.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2), innerWidth - tip.offsetWidth - 8);
    const below = box.bottom + 8 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, below ? box.bottom + 8 : box.top - tip.offsetHeight - 8)}px`;
    heat(target, true);
  };
  const hide = (target) => { tip.hidden = true; heat(target, false); };
  const heat = (target, on) => {
    const link = target.getAttribute("href");
    if (link) document.querySelector(link)?.classList.toggle("hot", on);
  };
  for (const each of document.querySelectorAll(".curve, .span")) {
    each.addEventListener("mouseenter", () => show(each));
    each.addEventListener("mouseleave", () => hide(each));
    each.addEventListener("focus", () => show(each));
    each.addEventListener("blur", () => hide(each));
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // The steps: what each actor has after each of them.
  const slider = $("slider");
  if (slider) {
    const now = $("now");
    // "#3 what holds from step 3 on", as the page itself has it.
    const change = (line) => {
      const number = line.firstElementChild.textContent;
      return [Number(number.slice(1)), line.textContent.slice(number.length).trim()];
    };
    const views = [...document.querySelectorAll(".view")].map((view) => ({
      actor: view.firstElementChild.textContent,
      entries: [...view.querySelectorAll("dl > div")].map((each) => [
        each.firstElementChild.textContent, [...each.querySelectorAll("p")].map(change),
      ]),
    }));
    const dots = new Map([...document.querySelectorAll(".dot")].map((dot) => [Number(dot.dataset.step), dot]));
    const at = (changes, step) => {
      let text = "";
      for (const [number, each] of changes) { if (number > step) break; text = each; }
      return text;
    };
    const entry = (list, name, text) => {
      const pair = make("div");
      pair.append(make("dt", name), make("dd", text));
      list.append(pair);
    };
    let before = 0;
    const draw = () => {
      const step = Number(slider.value);
      $("at").textContent = step;
      dots.get(before)?.classList.remove("now");
      dots.get(step)?.classList.add("now");
      for (const [number, dot] of dots) dot.classList.toggle("later", number > step);
      for (const each of document.querySelectorAll(".step.now")) each.classList.remove("now");
      $(`step-${step}`)?.classList.add("now");
      before = step;
      const parts = [];
      if (step) {
        const its = $(`step-${step}`), what = its.querySelector(".what");
        const texts = [what.querySelector("code,span:not(.note)"), what.querySelector(".place")];
        const said = texts.map((each) => (each ? each.textContent : "")).join("  ");
        parts.push(make("p", `${its.querySelector(".who").textContent}: ${said}`, "did"));
      } else parts.push(make("p", "Before the first step", "did"));
      for (const view of views) {
        parts.push(make("h3", view.actor));
        const list = make("dl");
        for (const [name, changes] of view.entries.slice(0, SHOWN)) entry(list, name, at(changes, step));
        if (view.entries.length > SHOWN) entry(list, "rows", `${view.entries.length - SHOWN} more below`);
        parts.push(list);
      }
      if (!views.length) parts.push(make("p", "What each actor sees is not known: no history was recorded of this execution."));
      now.replaceChildren(...parts);
    };
    const move = (by) => {
      slider.value = Number(slider.value) + by;
      draw();
      const dot = dots.get(Number(slider.value));
      const lanes = document.querySelector(".lanes");
      if (dot && lanes.scrollHeight > lanes.clientHeight) {
        const there = dot.getBoundingClientRect(), box = lanes.getBoundingClientRect();
        if (there.top < box.top + 30 || there.bottom > box.bottom - 30) lanes.scrollTop += there.top - box.top - box.height / 2;
      }
    };
    slider.addEventListener("input", draw);
    for (const each of document.querySelectorAll("[data-move]")) each.addEventListener("click", () => move(Number(each.dataset.move)));
    for (const [number, dot] of dots) dot.addEventListener("click", () => { slider.value = number; draw(); });
    document.addEventListener("keydown", (event) => {
      const busy = event.target.closest?.("input,textarea,select,pre,[contenteditable]");
      const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!busy && sideways && !event.altKey && !event.ctrlKey && !event.metaKey) { event.preventDefault(); move(sideways); }
    });
    document.querySelector(".moment .slide").hidden = false;
    draw();
  }

  // Both orders, line by line.
  const pairs = $("pairslider");
  if (pairs) {
    const lines = [...document.querySelectorAll(".pairs tbody tr")];
    const mark = () => {
      $("pairat").textContent = pairs.value;
      lines.forEach((line, number) => line.classList.toggle("now", number + 1 === Number(pairs.value)));
    };
    pairs.addEventListener("input", mark);
    document.querySelector(".pairslide").hidden = false;
    mark();
  }
})();
