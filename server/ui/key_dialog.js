// Asks for the access key of a server that requires one.

export class KeyDialog {
  #dialog;
  #key;

  /** onChange(): the key has changed. */
  constructor(dialog, key, onChange) {
    this.#dialog = dialog;
    this.#key = key;
    const input = dialog.querySelector("#key");
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#set(input.value.trim(), onChange);
    });
    dialog.querySelector(".forget").addEventListener("click", () => this.#set("", onChange));
    dialog.querySelector(".cancel").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => (input.value = "")); // no field keeps the key
  }

  /** `sentence`: the server's message, if there is one. */
  open(sentence = "") {
    const problem = this.#dialog.querySelector(".problem");
    problem.textContent = sentence;
    problem.hidden = sentence === "";
    this.#dialog.querySelector(".forget").hidden = this.#key.read() === "";
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#dialog.querySelector("#key").focus();
  }

  #set(value, onChange) {
    this.#key.write(value);
    this.#dialog.close();
    onChange();
  }
}
