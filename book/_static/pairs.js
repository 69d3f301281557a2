// Blind pairs: their key counts what a reader has ticked. Without this script the ticks stay, and the reader counts.
(() => {
  // How probably n fair coins fall as far from one half as `hits` of them, or farther.
  const chance = (n, hits) => {
    let ways = 1, far = 0;
    for (let k = 0; k <= n; k++) {
      if (Math.abs(2 * k - n) >= Math.abs(2 * hits - n)) far += ways;
      ways = (ways * (n - k)) / (k + 1);
    }
    return far / 2 ** n;
  };

  const percent = (share) => (share < 0.001 ? "less than 0.1%" : `${(100 * share).toFixed(1)}%`);

  const told = (name, n, ticked, hits) =>
    ticked
      ? `You ticked ${ticked} of ${n} pairs, ${hits} of them on the image of ${name}. Guessing puts ` +
        `${ticked / 2} there on average, and comes out as far from that, or farther, in ` +
        `${percent(chance(ticked, hits))} of all tries.`
      : "No pair is ticked yet. What is ticked is counted here.";

  const count = (key, said) => {
    const answers = [...key.querySelectorAll("[data-pair]")];
    let ticked = 0, hits = 0;
    for (const { dataset, firstElementChild: note } of answers) {
      const tick = document.querySelector(`input[name="pair-${dataset.pair}"]:checked`);
      note.textContent = tick ? ` (you ticked ${tick.value})` : "";
      ticked += Boolean(tick);
      hits += tick?.value === dataset.side;
    }
    said.textContent = told(key.dataset.name, answers.length, ticked, hits);
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const key of document.querySelectorAll(".key")) {
      const said = Object.assign(document.createElement("p"), { className: "count", role: "status" });
      key.prepend(said);
      key.querySelectorAll("[data-pair]").forEach((answer) => answer.append(document.createElement("span")));
      document.addEventListener("change", () => count(key, said));
      count(key, said);
    }
  });
})();
