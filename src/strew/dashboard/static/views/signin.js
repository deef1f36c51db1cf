// Asks for a token: the page itself tells nothing, the API tells nobody without one.
import { signIn } from "../live/session.js";
import { html, useState } from "../parts/html.js";

export function SignIn() {
  const [text, write] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) signIn(text);
  };
  return html`<main class="sign-in">
    <img src="/ui/icon.svg" alt="" width="56" height="56" />
    <h1>strew</h1>
    <p>This fleet shows itself to those who hold a token.</p>
    <form onSubmit=${submit}>
      <label for="token">Token, or the whole address that <code>strew serve</code> printed</label>
      <input
        id="token"
        type="password"
        autocomplete="off"
        spellcheck="false"
        autofocus
        value=${text}
        onInput=${(event) => write(event.target.value)}
      />
      <button class="primary" disabled=${!text.trim()}>Look</button>
    </form>
    <p class="hint"><code>strew token new --role read</code> makes one that can only look. It stays in this tab.</p>
  </main>`;
}
