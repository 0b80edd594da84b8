import "./style/fonts.css";
import "./style/base.css";
import "./style/shell.css";
import "./style/tokens.css";
import "./style/pages.css";
import { render } from "preact";
import { App } from "./app";
import { start } from "./live";

start();
const root = document.getElementById("app");
if (root) render(<App />, root);
