// Runs the initializer of the page with a stand-in for Swagger UI, and prints what it did as JSON.
// Arguments: the initializer, the OpenAPI document, the address of the page.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const [initializer, document, page] = process.argv.slice(2);
const calls = [];
let options;
const SwaggerUIBundle = (given) => {
  options = given;
  return {
    preauthorizeApiKey: (...given) => calls.push(["authorize", ...given]),
    authActions: { logout: (schemes) => calls.push(["forget", ...schemes]) },
  };
};
SwaggerUIBundle.presets = { apis: "apis" };
const window = {};
vm.runInNewContext(readFileSync(initializer, "utf8"), { SwaggerUIBundle, window, location: new URL(page), URL });
window.onload();

const { updateJsonSpec } = options.plugins[0].statePlugins.spec.wrapActions;
let shown;
updateJsonSpec((given) => (shown = given))(JSON.parse(readFileSync(document, "utf8")));
const answer = (ok, url, body) => options.responseInterceptor({ ok, url, body });
answer(true, `${page}login`, { access_token: "of a log-in", token_type: "Bearer" });
answer(false, `${page}login`, { access_token: "of a failure", token_type: "Bearer" });
answer(true, `${page}users`, { data: [] });
answer(true, `${page}auth/logout`, undefined);
console.log(JSON.stringify({ url: options.url, servers: shown.servers, shown, calls }));
