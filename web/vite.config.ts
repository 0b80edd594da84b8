import { defineConfig } from "vite";

// `npm run dev` serves the sources and passes the API on to a daemon.
const daemon = process.env.MOONWATCH_URL ?? "http://127.0.0.1:8000";
const api =
  "^/(tokens|settings|health|alerts|incidents|events|logs|admin|version|ready|quarantine)";

export default defineConfig({
  base: "/app/",
  build: {
    target: "es2021",
    assetsInlineLimit: 0, // nothing is inline: the page's policy allows no data: addresses
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 400,
    reportCompressedSize: false,
  },
  server: { proxy: { [api]: { target: daemon, headers: { origin: daemon } } } },
});
