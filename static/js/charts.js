// Draws every chart of a page from the table that has the same figures, so that the two cannot differ.
//
// <figure data-chart="bar|pie|line" data-table="id"><canvas></canvas></figure>
//   bar, pie: each row of the table's body is a bar or slice: its heading, and the first cell with data-value.
//   line: each row is a point of the x axis; each column with a heading that has data-series is a line. A cell without
//   a data-value is a gap. data-reference on such a heading draws a plain dashed line.
// data-tone of a row names one of the site's colours; slices and lines also differ by pattern, dashes and marks.
(function () {
  "use strict";

  const TONES = {
    bad: "--sl-bad",
    good: "--sl-good",
    warn: "--sl-warn",
    calm: "--sl-calm",
    neutral: "--sl-line-strong",
    accent: "--sl-link",
  };
  const LINES = ["accent", "warn", "good", "bad", "calm", "neutral", "accent"];
  const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [1, 3], [12, 5], [4, 2, 1, 2]];
  const MARKS = ["circle", "triangle", "rect", "rectRot", "cross", "star", "crossRot"];
  const PATTERN_SIZE = 8;
  const drawn = [];

  function colour(name) {
    return window.getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // The first slice is plain, the second striped, the third dotted, and so on.
  function patterned(tone, place) {
    const ink = colour(TONES[tone] || TONES.calm);
    if (place === 0) {
      return ink;
    }
    const tile = document.createElement("canvas");
    tile.width = tile.height = PATTERN_SIZE;
    const pen = tile.getContext("2d");
    pen.fillStyle = ink;
    pen.fillRect(0, 0, PATTERN_SIZE, PATTERN_SIZE);
    pen.strokeStyle = pen.fillStyle = colour("--sl-surface");
    pen.lineWidth = 1.5;
    pen.beginPath();
    if (place % 3 === 1) {
      for (const shift of [-PATTERN_SIZE, 0, PATTERN_SIZE]) {
        pen.moveTo(shift, PATTERN_SIZE);
        pen.lineTo(shift + PATTERN_SIZE, 0);
      }
      pen.stroke();
    } else if (place % 3 === 2) {
      pen.arc(PATTERN_SIZE / 2, PATTERN_SIZE / 2, 1.5, 0, 2 * Math.PI);
      pen.fill();
    } else {
      pen.moveTo(0, PATTERN_SIZE / 2);
      pen.lineTo(PATTERN_SIZE, PATTERN_SIZE / 2);
      pen.stroke();
    }
    return pen.createPattern(tile, "repeat");
  }

  function words(cell) {
    return cell.textContent.replace(/\s+/g, " ").trim();
  }

  function value(cell) {
    return cell && cell.dataset.value !== undefined && cell.dataset.value !== "" ? Number(cell.dataset.value) : null;
  }

  function bodyRows(table) {
    return [...table.tBodies].flatMap((body) => [...body.rows]);
  }

  function sliced(table, kind) {
    const rows = bodyRows(table).filter((row) => row.querySelector("[data-value]"));
    const tones = rows.map((row) => row.dataset.tone || "calm");
    return {
      labels: rows.map((row) => words(row.cells[0])),
      datasets: [
        {
          data: rows.map((row) => value(row.querySelector("[data-value]"))),
          backgroundColor: tones.map((tone, place) => (kind === "pie" ? patterned(tone, place) : colour(TONES[tone]))),
          borderColor: colour("--sl-surface"),
          borderWidth: kind === "pie" ? 2 : 0,
          maxBarThickness: 28,
        },
      ],
    };
  }

  function lined(table) {
    const headings = [...table.tHead.rows[0].cells];
    const columns = headings.map((_, place) => place).filter((place) => "series" in headings[place].dataset);
    const rows = bodyRows(table);
    let place = -1;
    return {
      labels: rows.map((row) => words(row.cells[0])),
      datasets: columns.map((column) => {
        const isReference = "reference" in headings[column].dataset;
        place += isReference ? 0 : 1;
        const ink = colour(TONES[isReference ? "neutral" : LINES[place % LINES.length]]);
        return {
          label: words(headings[column]),
          data: rows.map((row) => value(row.cells[column])),
          borderColor: ink,
          backgroundColor: ink,
          borderWidth: isReference ? 1.5 : 2,
          borderDash: isReference ? [4, 4] : DASHES[place % DASHES.length],
          pointStyle: isReference ? "line" : MARKS[place % MARKS.length],
          pointRadius: isReference ? 0 : rows.length > 40 ? 2 : 3.5,
          spanGaps: isReference,
          tension: 0,
        };
      }),
    };
  }

  function options(kind, isPercent, seriesCount) {
    const soft = colour("--sl-text-soft");
    const text = colour("--sl-text");
    const ticks = { color: soft, precision: isPercent ? undefined : 0, maxRotation: 0, autoSkipPadding: 12 };
    const asPercent = (number) => `${Math.round(number * 100)} %`;
    const figures = isPercent ? { ...ticks, callback: asPercent } : ticks;
    const labels = { color: text, usePointStyle: kind === "line", boxWidth: 14, boxHeight: kind === "line" ? 8 : 14, padding: 14 };
    const shared = {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      plugins: {
        legend: { display: kind === "pie" || seriesCount > 1, position: "bottom", labels },
        tooltip: {
          callbacks: isPercent ? { label: (item) => `${item.dataset.label}: ${asPercent(item.raw)}` } : {},
        },
      },
    };
    if (kind === "pie") {
      return shared;
    }
    const line = { color: colour("--sl-line") };
    const isBar = kind === "bar";
    const names = { ticks: { ...ticks, color: text, autoSkip: !isBar, precision: undefined }, grid: { display: false } };
    const counts = { beginAtZero: true, ticks: figures, grid: line, border: { display: false } };
    return {
      ...shared,
      indexAxis: isBar ? "y" : "x",
      interaction: { mode: isBar ? "nearest" : "index", intersect: false },
      scales: isBar ? { x: counts, y: names } : { x: names, y: counts },
    };
  }

  function draw(figure) {
    const table = document.getElementById(figure.dataset.table);
    const canvas = figure.querySelector("canvas");
    if (!table || !canvas) {
      return;
    }
    const kind = figure.dataset.chart;
    const data = kind === "line" ? lined(table) : sliced(table, kind);
    drawn.push(
      new window.Chart(canvas, {
        type: kind,
        data,
        options: options(kind, "percent" in figure.dataset, data.datasets.length),
      })
    );
  }

  function drawAll() {
    window.Chart.defaults.font.family = window.getComputedStyle(document.body).fontFamily;
    while (drawn.length) {
      drawn.pop().destroy();
    }
    document.querySelectorAll("figure[data-chart]").forEach(draw);
  }

  drawAll();
  document.addEventListener("senolens:theme", drawAll);
})();
