"use strict";
// All references are relative, and the interface is where the page is: so it works behind a proxy, under whatever path.
const description = new URL("openapi.json", document.baseURI);
const server = new URL(".", document.baseURI).pathname.replace(/\/$/, "") || "/";

// No validator, no query parameters, no remembered token: nothing leaves this origin.
const draw = (spec) => window.SwaggerUIBundle({
  spec: { ...spec, servers: [{ url: server }] },
  dom_id: "#interface",
  deepLinking: false,
  validatorUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  // Every request that changes something says that it is JSON, with a body or without: other sites' pages cannot.
  requestInterceptor: (request) => {
    if (request.method && request.method.toUpperCase() !== "GET") {
      request.headers["Content-Type"] = "application/json";
    }
    return request;
  },
});

fetch(description)
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(draw)
  .catch((error) => {
    document.getElementById("interface").textContent = `The description at ${description} cannot be read: ${error.message}`;
  });
