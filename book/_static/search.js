// Search shows extracts of pages. The cards behind numbers, which are closed on their page, are no part of its text.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const plain = Search.htmlToText;
  Search.htmlToText = (page, anchor) => {
    const read = new DOMParser().parseFromString(page, "text/html");
    read.querySelectorAll(".number-card").forEach((card) => card.remove());
    return plain(read.documentElement.outerHTML, anchor);
  };
});
