// Starts Swagger UI on the document of this API.
"use strict";

/** The security scheme of the document whose token a log-in gives. */
const SCHEME = "bearer";

/**
 * Returns the document as this page shows it.
 *
 * The form of an operation begins with the examples of its parameters. A list filtered by them would be empty, so they are
 * left out. The requests go to the path below which the page is served.
 */
function shown(document, base) {
  const schemas = document.components?.schemas ?? {};
  const withoutExample = ({ example, examples, ...rest }) => rest;
  const resolved = (schema) => (schema.$ref ? (schemas[schema.$ref.split("/").at(-1)] ?? schema) : schema);
  const empty = (parameter) => {
    const { schema, ...rest } = withoutExample(parameter);
    return schema ? { ...rest, schema: withoutExample(resolved(schema)) } : rest;
  };
  const operations = (path) =>
    Object.entries(path).map(([key, value]) => [
      key,
      value.parameters ? { ...value, parameters: value.parameters.map((one) => (one.$ref ? one : empty(one))) } : value,
    ]);
  const paths = Object.entries(document.paths).map(([path, item]) => [path, Object.fromEntries(operations(item))]);
  return { ...document, servers: [{ url: base || "/" }], paths: Object.fromEntries(paths) };
}

/** Takes over the access token of an answer, and forgets it at a log-out. */
function followSession(ui, response) {
  const { access_token: token, token_type: type } = response.body ?? {};
  if (response.ok && typeof token === "string" && type === "Bearer") {
    ui.preauthorizeApiKey(SCHEME, token);
  } else if (response.ok && /\/auth\/logout(-all)?$/.test(response.url ?? "")) {
    ui.authActions.logout([SCHEME]);
  }
  return response;
}

window.onload = () => {
  const base = new URL("..", location.href).pathname.replace(/\/$/, "");
  const ui = SwaggerUIBundle({
    url: "../openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    tryItOutEnabled: true,
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [
      {
        statePlugins: {
          spec: {
            wrapActions: { updateJsonSpec: (update) => (document) => update(document.paths ? shown(document, base) : document) },
          },
        },
      },
    ],
    responseInterceptor: (response) => followSession(ui, response),
  });
  window.ui = ui;
};
