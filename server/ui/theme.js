// Light or dark: the system's setting, or the last choice of the user. Runs before the first paint.
(() => {
  "use strict";
  const choices = ["auto", "light", "dark"];
  const system = matchMedia("(prefers-color-scheme: dark)");
  let choice = "auto";
  try {
    const kept = localStorage.getItem("locker.theme");
    if (choices.includes(kept)) choice = kept;
  } catch {
    // No storage allowed: the choice lives as long as the page.
  }

  const apply = () => {
    const isDark = choice === "dark" || (choice === "auto" && system.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    const text = document.getElementById("theme-text");
    if (text) text.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[choice];
  };

  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      choice = choices[(choices.indexOf(choice) + 1) % choices.length];
      try {
        localStorage.setItem("locker.theme", choice);
      } catch {
        // As above.
      }
      apply();
    });
  });
})();
