// A fault that is being mended goes away; whether it is mended is judged when the form is sent again.

document.addEventListener("input", ({ target }) => {
  const field = target.closest(".field.has-fault");
  if (!field) return;
  field.classList.remove("has-fault");
  field.querySelector(".fault")?.remove();
  const described = (target.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => document.getElementById(id));
  target.removeAttribute("aria-invalid");
  if (described.length) target.setAttribute("aria-describedby", described.join(" "));
  else target.removeAttribute("aria-describedby");
});
