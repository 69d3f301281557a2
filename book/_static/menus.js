// The theme's menus, on a phone too. Its script listens to the first button of each kind alone, and that one stands in
// a bar which is not shown: the buttons that are seen hand their clicks on to it. A link within the page closes the menu,
// which moves the page once more: so its place is gone to when that is done.
document.addEventListener("DOMContentLoaded", () => {
  for (const kind of ["primary", "secondary"]) {
    const [heard, ...seen] = document.querySelectorAll(`.${kind}-toggle`);
    const hand = (event) => (event.stopImmediatePropagation(), heard.click());
    seen.forEach((button) => button.addEventListener("click", hand, true));
    const menu = document.getElementById(`pst-${kind}-sidebar-modal`);
    menu?.addEventListener("click", (event) => {
      const place = event.target.closest("a[href^='#']")?.hash.slice(1);
      if (place === undefined) return;
      const go = () => document.getElementById(decodeURIComponent(place))?.scrollIntoView({ behavior: "instant" });
      menu.addEventListener("close", () => setTimeout(go), { once: true });
      menu.close();
    });
  }
});
