// Talking to the server from a page: the token against forged requests, and what "signed out" looks like.

/** The token that every changing request carries, as form field `csrf` or header `X-CSRF-Token`. */
export function csrf() {
  return document.querySelector('meta[name="csrf"]').content;
}

/** Posts fields as a form would; resolves to the Response, rejects when there is no connection. */
export function post(url, fields, options = {}) {
  const body = new URLSearchParams(fields);
  body.set("csrf", csrf());
  return fetch(url, {
    method: "POST",
    headers: { "X-CSRF-Token": csrf(), Accept: "application/json" },
    body,
    credentials: "same-origin",
    redirect: "manual",
    ...options,
  });
}

/** Whether the answer means that the session has ended: refused, or sent to the sign-in page. */
export function isSignedOut(response) {
  return response.status === 401 || response.type === "opaqueredirect";
}
