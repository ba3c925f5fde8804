// Light, dark, or as the system has it.

const name = "llamacluster-theme";
const choices = ["auto", "light", "dark"];
const titles = { auto: "Auto", light: "Light", dark: "Dark" };

export function themeButton(button) {
  let chosen = choices.includes(localStorage.getItem(name)) ? localStorage.getItem(name) : "auto";

  function apply() {
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    button.textContent = titles[chosen];
    button.setAttribute("aria-label", `Theme: ${titles[chosen]}`);
    button.title = "Theme: as the system has it, light, or dark";
  }

  button.addEventListener("click", () => {
    chosen = choices[(choices.indexOf(chosen) + 1) % choices.length];
    localStorage.setItem(name, chosen);
    apply();
  });
  apply();
}
