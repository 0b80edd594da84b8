// GET /openapi.json: its operations, their example requests, and schemas to hold answers against.
import { createConfig, lintFromString } from "@redocly/openapi-core";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const METHODS = ["get", "post", "put", "delete"];

// The linter's complaints. What is left out of its recommended rules is a matter of taste.
export async function lint(text) {
  const config = await createConfig({
    extends: ["recommended"],
    rules: { "info-license-url": "off", "info-license": "off" },
  });
  const problems = await lintFromString({ source: text, config, absoluteRef: "openapi.json" });
  return problems.map((one) => {
    const at = one.location?.[0]?.pointer ?? "";
    return `${one.severity} ${one.ruleId}: ${one.message} at ${at}`;
  });
}

export class Document {
  constructor(json) {
    this.json = json;
    this.ajv = new Ajv({ strict: false, allErrors: false });
    addFormats(this.ajv);
    this.ajv.addSchema({ ...json, $id: "api" });
    this.operations = [];
    for (const [pattern, methods] of Object.entries(json.paths))
      for (const method of METHODS)
        if (methods[method])
          this.operations.push({ method: method.toUpperCase(), pattern, ...methods[method] });
  }

  // Null, or what is wrong with `value` as a schema's name or {"$ref"} says.
  complaint(schema, value) {
    const name = typeof schema === "string" ? schema : schema.$ref.split("/").pop();
    const check = this.ajv.getSchema(`api#/components/schemas/${name}`);
    if (!check) return `there is no schema ${name}`;
    if (check(value)) return null;
    const [error] = check.errors;
    return `${name}${error.instancePath}: ${error.message} ${JSON.stringify(error.params)}`;
  }
}

const textOf = (value) => (Array.isArray(value) ? value.join(",") : String(value));

// With other values for some parameters, by name; undefined leaves one out.
export function targetOf(operation, values = {}) {
  let target = operation.pattern;
  const query = [];
  for (const { name, in: where, example } of operation.parameters) {
    const value = name in values ? values[name] : example;
    if (where === "path") target = target.replace(`{${name}}`, encodeURIComponent(textOf(value)));
    else if (value !== undefined) query.push(`${name}=${encodeURIComponent(textOf(value))}`);
  }
  return { path: target, query: query.length > 0 ? `?${query.join("&")}` : "" };
}

// {contentType, text} of an operation that takes a body; null for the others.
export function bodyOf(operation) {
  if (!operation.requestBody) return null;
  const [[contentType, { example }]] = Object.entries(operation.requestBody.content);
  return { contentType, text: typeof example === "string" ? example : JSON.stringify(example) };
}
