// Views: sliders over pictures that are on the page already. Without this script their static form stays.
(() => {
  const make = (tag, name, more) => Object.assign(document.createElement(tag), { className: name, ...more });

  const copy = (picture, alt) => {
    const copied = Object.assign(picture.cloneNode(), { alt });
    copied.removeAttribute("style"); // which says how the static form lays it out
    return copied;
  };

  // Put the view's moving form before its static one; `show` moves it and returns what to say of where it is.
  const live = (view, windows, [last, start], show) => {
    const stage = make("div", "stage");
    const range = make("input", "slide", { type: "range", min: 0, max: last, value: start });
    const update = () => {
      stage.style.setProperty("--at", range.value);
      range.setAttribute("aria-valuetext", show(Number(range.value)));
    };
    range.setAttribute("aria-label", view.dataset.name);
    range.addEventListener("input", update);
    update();
    stage.append(...windows);
    const controls = make("div", "controls");
    controls.append(range);
    view.querySelector(".static").before(stage, controls);
    view.classList.add("live");
    return range;
  };

  const player = (range) => {
    const button = make("button", "play", { type: "button", textContent: "Play" });
    const wait = 150 + 2000 / range.max; // milliseconds a frame
    let timer = 0;
    const stop = () => ((timer = clearInterval(timer)), (button.textContent = "Play"));
    const move = (value) => ((range.value = value), range.dispatchEvent(new Event("input")));
    button.onclick = () => {
      if (timer) return stop();
      if (range.value === range.max) move(0);
      button.textContent = "Pause";
      timer = setInterval(() => (range.value === range.max ? stop() : move(Number(range.value) + 1)), wait);
    };
    return button;
  };

  const frames = (view) => {
    const said = [...view.querySelectorAll(".labels span")].map((label) => label.dataset.said);
    if (said.length < 2) return;
    const picture = view.querySelector("img");
    const windows = [...view.querySelectorAll(".track")].map((track, i) => {
      const part = make("div", "part"), hole = make("div", "window");
      hole.style.setProperty("--track", i);
      hole.append(copy(picture, i ? "" : picture.alt));
      part.append(make("span", "head", { textContent: track.textContent }), hole);
      return part;
    });
    const where = make("span", "where");
    const start = view.style.getPropertyValue("--start");
    const range = live(view, windows, [said.length - 1, start], (i) => (where.textContent = said[i]));
    range.after(where);
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) range.before(player(range));
  };

  const compare = (view) => {
    const [before, after] = [...view.querySelectorAll(".label")].map((label) => label.textContent);
    const hole = make("div", "window");
    hole.append(...[...view.querySelectorAll("img")].map((picture) => copy(picture, picture.alt)));
    const range = live(view, [hole], [100, 50], (i) => `${i}% ${before}, ${100 - i}% ${after}`);
    range.before(make("span", "where", { textContent: before }));
    range.after(make("span", "where", { textContent: after }));
  };

  // What scrolls is reached by keyboard too.
  addEventListener("load", () => {
    const boxes = document.querySelectorAll(".bd-article :is(figure, .output, .beside > div):has(> img)");
    boxes.forEach((box) => box.scrollWidth > box.clientWidth && (box.tabIndex = 0));
  });

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".view.frames").forEach(frames);
    document.querySelectorAll(".view.compare").forEach(compare);
  });
})();
