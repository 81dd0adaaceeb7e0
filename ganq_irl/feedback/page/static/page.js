"use strict";
// Keys press the buttons, and an answer that did not arrive is told. Without this script, the forms work as well.
const note = document.getElementById("note");
let isSending = false;

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isSending) return;
  isSending = true;
  const form = event.target, button = event.submitter, fields = new URLSearchParams(new FormData(form));
  if (button && button.name) fields.set(button.name, button.value);
  try {
    const response = await fetch(form.action, { method: "POST", body: fields });
    if (response.ok) return location.replace(response.url);
    note.textContent = await response.text();
  } catch {
    note.textContent = "This answer did not arrive: ganq-irl feedback serve has stopped. Earlier answers are kept. " +
      "Start it again, and open the address that it prints.";
  }
  isSending = false;
});

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  const key = event.key === " " ? "Space" : event.key;
  if (key === "Space" && event.target.closest("button")) return; // it presses the button that has the focus
  const button = [...document.querySelectorAll("button[data-keys]")].find((one) => one.dataset.keys.split(" ").includes(key));
  if (!button) return;
  event.preventDefault();
  button.click();
});
