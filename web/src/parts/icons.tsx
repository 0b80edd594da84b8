export function Moon() {
  return (
    <svg class="moon" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M21.5 22.8A9.5 9.5 0 0 1 13.2 7.6a9.5 9.5 0 1 0 8.3 15.2z" />
      <circle cx="22.5" cy="10.5" r="1.7" />
    </svg>
  );
}
