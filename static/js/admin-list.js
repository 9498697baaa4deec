// On a narrow screen a row of a list is a block of lines; each cell then carries the heading of its column.
"use strict";

const headings = [...document.querySelectorAll("#result_list thead th")].map((heading) => {
  const words = heading.querySelector(".text");
  return words ? words.textContent.trim() : "";
});

for (const row of document.querySelectorAll("#result_list tbody tr")) {
  [...row.children].forEach((cell, place) => {
    // The box that chooses a row needs no heading.
    if (headings[place] && !cell.classList.contains("action-checkbox")) {
      cell.dataset.heading = headings[place];
    }
  });
}
