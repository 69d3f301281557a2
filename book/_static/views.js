// Views: sliders over pictures that are on the page already. Without this script their static form stays.
(() => {
  const make = (tag, name, text = "") =>
    Object.assign(document.createElement(tag), { className: name, textContent: text });

  // A copy of a picture in a window of its own; what the static form says of its size does not hold there.
  const shown = (picture, alt) => {
    const copy = picture.cloneNode();
    copy.removeAttribute("style");
    return Object.assign(copy, { alt });
  };

  // A range from 0 to `last`: `show` moves the view and returns what to say of where it is.
  const slider = (view, last, start, show) => {
    const range = Object.assign(make("input", "slide"), { type: "range", min: 0, max: last, value: start });
    range.value = start;
    range.setAttribute("aria-label", view.dataset.name);
    const update = () => range.setAttribute("aria-valuetext", show(Number(range.value)));
    range.addEventListener("input", update);
    update();
    return range;
  };

  const player = (range) => {
    const button = Object.assign(make("button", "play", "Play"), { type: "button" });
    let timer = 0;
    const move = (value) => {
      range.value = value;
      range.dispatchEvent(new Event("input"));
    };
    const stop = () => {
      timer = clearInterval(timer);
      button.textContent = "Play";
    };
    const next = () => (range.value === range.max ? stop() : move(Number(range.value) + 1));
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (range.value === range.max) move(0);
      button.textContent = "Pause";
      timer = setInterval(next, 2000 / range.max + 150);
    });
    return button;
  };

  const frames = (view) => {
    const labels = [...view.querySelectorAll(".labels span")].map((label) => label.dataset.said);
    if (labels.length < 2) return;
    const picture = view.querySelector("img");
    const stage = make("div", "stage");
    view.querySelectorAll(".track").forEach((track, i) => {
      const part = make("div", "part");
      const hole = make("div", "window");
      hole.append(shown(picture, i ? "" : picture.alt));
      hole.style.setProperty("--track", i);
      part.append(make("span", "head", track.textContent), hole);
      stage.append(part);
    });
    const where = make("span", "where");
    const range = slider(view, labels.length - 1, labels.length - 1, (i) => {
      stage.style.setProperty("--at", i);
      return (where.textContent = labels[i]);
    });
    const controls = make("div", "controls");
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) controls.append(player(range));
    controls.append(range, where);
    live(view, stage, controls);
  };

  const compare = (view) => {
    const pictures = [...view.querySelectorAll("img")];
    const labels = [...view.querySelectorAll(".label")].map((label) => label.textContent);
    const stage = make("div", "stage");
    const hole = make("div", "window");
    hole.append(...pictures.map((picture) => shown(picture, picture.alt)));
    stage.append(hole);
    const range = slider(view, 100, 50, (percent) => {
      stage.style.setProperty("--at", `${percent}%`);
      return `${percent}% ${labels[0]}, ${100 - percent}% ${labels[1]}`;
    });
    const controls = make("div", "controls");
    controls.append(make("span", "where", labels[0]), range, make("span", "where", labels[1]));
    live(view, stage, controls);
  };

  const live = (view, stage, controls) => {
    view.querySelector(".static").before(stage, controls);
    view.classList.add("live");
  };

  const start = () => {
    document.querySelectorAll(".view.frames").forEach(frames);
    document.querySelectorAll(".view.compare").forEach(compare);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
