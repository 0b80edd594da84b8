// Asks for the daemon's token when a write needs it.
import { useEffect, useRef } from "preact/hooks";
import { tokenQuestion } from "../api";
import { t } from "../text";

export function AskToken() {
  const answer = tokenQuestion.value;
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const text = t.value.auth;

  useEffect(() => {
    if (answer) dialog.current?.showModal();
    else dialog.current?.close();
    if (field.current) field.current.value = "";
  }, [answer]);

  const submit = (event: Event) => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? "";
    if (token) answer?.(token);
  };

  return (
    <dialog ref={dialog} aria-labelledby="auth-title" onCancel={() => answer?.(null)}>
      <form onSubmit={submit}>
        <h2 id="auth-title">{text.title}</h2>
        <p class="quiet">{text.text}</p>
        <label>
          <span>{text.label}</span>
          <input ref={field} type="password" autocomplete="off" spellcheck={false} />
        </label>
        <div class="actions">
          <button type="button" onClick={() => answer?.(null)}>
            {text.cancel}
          </button>
          <button type="submit" class="primary">
            {text.go}
          </button>
        </div>
      </form>
    </dialog>
  );
}
