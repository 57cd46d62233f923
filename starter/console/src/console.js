// What makes the console's pages better where scripts run; without it every page works. It decides nothing.
"use strict";

(() => {
  // Times, in the viewer's own zone; UTC stays as the title.
  const own = new Intl.DateTimeFormat(undefined, {
    weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
  for (const time of document.querySelectorAll("time[data-local]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.textContent;
    time.textContent = own.format(at);
  }

  // How far off a deadline is, by the case's own clock, which may be ahead of this one.
  const loaded = Date.now();
  const minutes = (count) => {
    const [days, hours, rest] = [Math.floor(count / 1440), Math.floor(count / 60) % 24, count % 60];
    if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`;
    if (hours > 0) return rest > 0 ? `${hours} h ${rest} min` : `${hours} h`;
    return rest > 0 ? `${rest} min` : "less than a minute";
  };
  const distances = [...document.querySelectorAll("[data-until]")];
  const count = () => {
    for (const span of distances) {
      const now = new Date(span.dataset.now).getTime() + Date.now() - loaded;
      const left = new Date(span.dataset.until).getTime() - now;
      const length = minutes(Math.floor((Math.abs(left) + 30_000) / 60_000));
      span.textContent = left < 0 ? `(${length} ago)` : `(in ${length})`;
    }
  };
  if (distances.length > 0) setInterval(count, 20_000);

  // Amounts are whole minor units; nothing is ever a float.
  const read = (text, decimals) => {
    const found = /^(\d{1,15})(?:\.(\d+))?$/.exec(text.trim());
    if (!found || (found[2] || "").length > decimals) return null;
    const minor = BigInt(found[1] + (found[2] || "").padEnd(decimals, "0"));
    return minor <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(minor) : null;
  };
  const plain = (minor, decimals) => {
    if (decimals === 0) return String(minor);
    const digits = String(minor).padStart(decimals + 1, "0");
    return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
  };
  const shown = (minor, decimals, code) => {
    const [whole, part] = plain(minor, decimals).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    return `${part === undefined ? grouped : `${grouped}.${part}`} ${code}`;
  };

  // A slider and a number that always add up to the whole.
  for (const split of document.querySelectorAll("[data-split]")) {
    const number = document.getElementById(split.dataset.split);
    const slider = split.querySelector("input[type=range]");
    const [total, decimals] = [Number(split.dataset.total), Number(number.dataset.decimals)];
    const [first, rest] = ["first", "rest"].map((part) => split.querySelector(`[data-part=${part}]`));
    const show = () => {
      const minor = read(number.value, decimals);
      const fits = minor !== null && minor <= total;
      first.textContent = fits ? shown(minor, decimals, split.dataset.code) : "–";
      rest.textContent = fits ? shown(total - minor, decimals, split.dataset.code) : "–";
      if (fits) slider.value = String(minor);
    };
    // Steps of a hundredth are enough for a hand; the number takes any amount.
    slider.step = String(Math.max(1, Math.round(total / 100)));
    if (total % Number(slider.step) !== 0) slider.step = "1";
    slider.addEventListener("input", () => {
      number.value = plain(Number(slider.value), decimals);
      show();
    });
    number.addEventListener("input", show);
    split.hidden = false;
    if (number.value === "") slider.value = "0";
    show();
  }

  // A form is sent once. The button is disabled after its value was taken.
  let typed = false;
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("input", () => { typed = true; });
    form.addEventListener("submit", () => setTimeout(() => {
      for (const button of form.querySelectorAll("button")) button.disabled = true;
    }));
  }
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
  });

  // News of the case: the page is shown anew, unless somebody is filling in a form.
  const news = document.querySelector("#news[data-live]");
  if (news && globalThis.EventSource) {
    const source = new EventSource(news.dataset.live);
    source.addEventListener("status", (event) => {
      if (Number(event.data) <= Number(news.dataset.version)) return;
      source.close();
      // What was just done makes news itself: the word that it is done is to be read all the same.
      const here = location.pathname + (performance.now() < 60000 ? location.search : "");
      if (!typed) return location.replace(here);
      const link = document.createElement("a");
      link.href = here;
      link.textContent = "Show it as it is now";
      news.replaceChildren("This case has changed. ", link);
      news.className = "note";
    });
    addEventListener("pagehide", () => source.close());
  }
})();
